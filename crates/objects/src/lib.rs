//! Durable objects over [`object_store`]: written whole, read whole, each in a frame that shows
//! damage.
//!
//! [`Objects`] is the store itself, [`record`] the frame around every stored message. An
//! acknowledged write survives a crash of the process and of the machine; a write that was not
//! acknowledged either happened whole or not at all.
#![deny(clippy::indexing_slicing)]

mod error;
mod objects;
pub mod record;

pub use error::ObjectError;
pub use objects::{Entry, Objects, Put};
