//! The one gRPC client of Sphinx: where a service is, how a connection to it is made and kept, when
//! a request is sent again, and in whose name.
//!
//! [`Connection`] is what the SDK talks through; [`KeyDirectory`] is the key vault as trainer and
//! inference see it; [`health`] asks a service whether it serves.
#![deny(clippy::indexing_slicing)]

mod address;
mod connection;
mod connector;
mod directory;
mod error;
pub mod health;
mod retries;
mod security;
mod status;
mod tenant;
mod verdict;

pub use address::{
    Address, AddressError, AddressFault, INFERENCE_PORT, KEY_VAULT_PORT, TRAINER_PORT,
};
pub use connection::Connection;
pub use directory::{KeyDirectory, KeyDirectoryError};
pub use error::ChannelError;
/// What a request carries so that the trace that runs goes on at the service.
pub use sphinx_telemetry::traceparent;

pub use security::{Security, SecurityError};
pub use tenant::{Caller, TenantChannel};
pub use verdict::Verdict;
