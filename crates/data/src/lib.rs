//! Data sets: labelled images in memory, and the sources that they come from.
//!
//! A [`Dataset`] has images of any [`Shape`](sphinx_network::Shape) and any [`Classes`]; what knows
//! the form of a particular file or database is a module of [`sources`]. Images and labels are the
//! user's private data: no type here prints its contents.

mod classes;
mod dataset;
mod error;
mod levels;
pub mod sources;

pub use classes::Classes;
pub use dataset::{Dataset, TrainTest};
pub use error::DatasetError;
pub use levels::{pixel, pixels};
pub use sources::picture::{Digit, DigitError};
