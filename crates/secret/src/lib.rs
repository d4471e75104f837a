//! Secret keys, encryption and decryption. Only the client SDK may depend on this crate; a test on
//! `cargo metadata` says so.
//!
//! Ciphertexts are those of tfhe (GLWE with one mask polynomial, binary secret), made of the same
//! parts put together for speed: masks by AES in counter mode, noise from the curve as `TUniform`,
//! and mask · key by a number-theoretic transform. Either side's ciphertexts decrypt under the
//! other's functions.

mod bodies;
mod decrypt;
mod derive;
mod encrypt;
mod file;
mod key;
mod noise;
mod one_shot;
mod product;
mod public;

pub use bodies::{BlockKeys, SharedRows, Tally};
pub use decrypt::DecryptError;
pub use encrypt::SeededRows;
pub use file::KeyFileError;
pub use key::{KeyError, SecretKey};
pub use one_shot::OneShotError;
pub use public::PublicMaterial;
