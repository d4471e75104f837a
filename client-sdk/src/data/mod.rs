//! What the client learns from and recognises: MNIST-format sets, and any picture of a digit.
//!
//! Images and labels are the user's private data: no type here prints its contents.

mod dataset;
mod error;
mod idx;
mod image;
mod mnist;

pub use dataset::Dataset;
pub use error::DatasetError;
pub use image::{Digit, DigitError};
pub use mnist::Mnist;
