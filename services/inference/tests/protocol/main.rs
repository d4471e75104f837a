//! The inference service over real sockets, spoken to without the SDK: its refusals, limits and
//! plain results. Ciphertexts are random bytes here; what decrypts from them is tested with the
//! SDK.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a failed set-up fails the test")]

mod batch;
mod infer;
mod load;
mod prepare;
mod service;
mod sync_tickets;
mod weights;
