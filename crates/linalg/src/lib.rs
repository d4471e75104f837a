//! Encrypted linear algebra on batch-axis packed GLWE ciphertexts. This crate cannot hold a secret key.

mod map;

pub use map::{Group, LinearMap, MapError, Patch};
