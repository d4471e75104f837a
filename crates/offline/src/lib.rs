//! Recognition in one shot without a service: requests, answers and models as files, and their
//! evaluation wherever they arrive. This crate cannot hold a secret key.
//!
//! A file is a message of `sphinx.v1` in the frame of stored objects ([`sphinx_objects::record`]):
//! its type, a version and a checksum, so that one that was cut short, changed or is of another
//! kind says so.

mod error;
mod evaluate;
mod files;

pub use error::OfflineError;
pub use evaluate::{Keys, Model};
pub use files::{ModelFile, read_answer, read_request, write_answer, write_request};
