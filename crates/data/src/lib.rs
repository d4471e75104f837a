//! Data sets: labelled images in memory, the sources that they come from, and the pipeline that
//! brings pictures to what a network takes.
//!
//! A [`Dataset`] has images of any [`Shape`](sphinx_network::Shape) and any [`Classes`]; what knows
//! the form of a particular file or database is a module of [`sources`]. Images and labels are the
//! user's private data: no type here prints its contents, and nothing is written anywhere.

mod classes;
mod dataset;
mod error;
mod inspect;
mod levels;
mod origin;
mod picture;
mod pipeline;
mod shown;
pub mod sources;

pub use classes::Classes;
pub use dataset::{Dataset, TrainTest};
pub use error::DatasetError;
pub use inspect::{ClassCount, Inspection, SizeCount};
pub use levels::{pixel, pixels};
pub use origin::{Origin, origin};
pub use picture::{Digit, Measured, Picture, PictureError};
pub use pipeline::{Fit, Pipeline, Polarity, Preparation, Resampling};
pub use shown::{shown, shown_text};
