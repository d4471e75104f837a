//! Durable objects over [`object_store`]: written whole, read whole, each in a frame that shows
//! damage.
//!
//! [`Objects`] is the store itself, in a directory or in a bucket, [`record`] the frame around
//! every stored message. An acknowledged write survives a crash of the process and of the machine;
//! a write that was not acknowledged either happened whole or not at all.
#![deny(clippy::indexing_slicing)]

mod check;
mod error;
mod location;
mod objects;
pub mod record;
mod words;

pub use error::ObjectError;
pub use objects::{Entry, Found, Objects, Put};
