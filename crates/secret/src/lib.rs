//! Secret keys, encryption and decryption. Only the client SDK may depend on this crate; a test on
//! `cargo metadata` says so.
//!
//! A user keeps a [`RootKey`]. What lasts is derived from it: the [`Identity`], the key of
//! recognition in one shot, and every model's [`ReadKey`]. A [`SecretKey`] lives in memory.
//!
//! Ciphertexts are those of tfhe (GLWE with one mask polynomial, binary secret), made of the same
//! parts put together for speed: masks by AES in counter mode, noise from the curve as `TUniform`,
//! and mask · key by a number-theoretic transform. Either side's ciphertexts decrypt under the
//! other's functions.

mod backup;
mod bodies;
mod container;
mod decrypt;
mod derive;
mod encrypt;
mod hkdf;
mod key;
mod linear;
mod noise;
mod one_shot;
mod passphrase;
mod product;
mod read_key;
mod root;
mod samples;
mod seal;

pub use backup::{read_backup, write_backup};
pub use bodies::{BlockKeys, SharedRows, Tally};
pub use container::KeyFileError;
pub use decrypt::DecryptError;
pub use encrypt::SeededRows;
pub use key::{KeyError, SecretKey};
pub use one_shot::OneShotError;
pub use passphrase::{EmptyPassphrase, Passphrase};
pub use read_key::{ModelName, ReadKey};
pub use root::{Identity, RootKey};
pub use samples::SeededSamples;
pub use seal::SealError;
