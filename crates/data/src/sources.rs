//! Where images come from: each module knows one form of files.
//!
//! A source of data sets has a function `open` from a path to a [`TrainTest`](crate::TrainTest). It
//! refuses bad files before it believes their contents, and leaves what holds for all sets to
//! [`Dataset::new`](crate::Dataset::new).

mod idx;
pub mod mnist;
pub mod picture;
