//! Who may do what: tokens, roles, and the one table of RPCs.
//!
//! A service keeps a [`Register`] of credentials, in which a [`Token`] or a client's certificate
//! stands by its SHA-256 with tenant and [`Role`]; [`may_call`] says what a role may do.
#![deny(clippy::indexing_slicing)]

mod credential;
mod edit;
mod error;
mod register;
mod role;
mod table;
mod token;

pub use credential::{Credential, Digest, Kind, Scope};
pub use edit::edit;
pub use error::{RegisterError, TokenError};
pub use register::Register;
pub use role::Role;
pub use table::{TABLE, allowed, may_call};
pub use token::Token;
