//! The audit log of a service: who did what to which object when, and nothing of the contents.
//!
//! A log is a file of one JSON object per line. Every line holds the SHA-256 of the line before and
//! its own, so that a line that is altered, taken out or put in shows; what is cut off the end
//! shows to whoever has noted a later hash. One thread writes ([`AuditLog`]); requests wait until
//! their line is on the disk. [`verify`] reads logs.
#![deny(clippy::indexing_slicing)]

mod chain;
mod entry;
mod error;
mod file;
mod log;
mod verify;

pub use entry::{Event, What};
pub use error::{AuditError, Fault, VerifyError};
pub use log::AuditLog;
pub use verify::{Verified, verify};
