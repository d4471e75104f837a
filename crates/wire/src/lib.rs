//! What client and services agree on beyond the schema: the form of every payload.
//!
//! The schema (`proto/`) says which bytes fields there are; this crate says what is in them. Each
//! module holds one payload, both directions of its code side by side, with the widths, scales and
//! limits that both ends keep to. Services and SDK call it and know no width of their own.
//!
//! | module | payload | RPC |
//! |---|---|---|
//! | [`rows`] | ciphertext rows: masks that blocks share, and bodies | `Train`, `Prepare` |
//! | [`training`] | integers of weights, activations and deltas in training | `Train` |
//! | [`state`] | weights that both sides step alike, and the hashes that bind versions | `Train` |
//! | [`commit`] | the parts of a commit | `Train` |
//! | [`sealed`] | a commit as the exact bytes that are sent again after a break | `Train` |
//! | [`parameters`] | weights of a stage and its optimiser, part by part | `GetModel` |
//! | [`difference`] | how the integer weights of two versions differ | `SyncTickets` |
//! | [`masked`] | masked integers of an image and their products | `Infer` |
#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

pub mod commit;
pub mod difference;
pub mod masked;
mod mismatch;
pub mod parameters;
pub mod rows;
pub mod sealed;
pub mod state;
pub mod training;

pub use mismatch::Mismatch;
