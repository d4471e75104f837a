//! Encrypted linear algebra on batch-axis packed GLWE ciphertexts. This crate cannot hold a secret
//! key.
//!
//! One ciphertext stands for one scalar position of a network; coefficient b of its message is that
//! scalar for sample b of a batch of [`SLOTS`] samples. A tensor of J scalars is a [`CipherMatrix`]
//! of J rows, and a linear layer is a product of a small-integer matrix ([`LinearMap`]) with it, no
//! key switch, exact modulo 2^32 or 2^64. K blocks of samples share a mask: 1 + 1/K multiply-adds
//! per multiply-add in the clear.

mod bias;
mod bits;
mod evaluate;
mod kernel;
mod map;
mod mask;
mod matrix;
mod noise;
mod parameters;
mod plain;
mod profile;
mod sparse;
mod wire;
mod word;

pub use bias::{BIAS_WIDTH, BiasError, EncryptedBiases};
pub use bits::{pack_bits, packed_bits_len, unpack_bits};
pub use evaluate::{OutputRows, PackedMap, RowCountError, Unit};
pub use map::{Group, LinearMap, MapError, Patch};
pub use mask::{Seed, expand_mask, fill_keystream};
pub use matrix::{CipherMatrix, Upload, UploadError};
pub use noise::ResultNoise;
pub use parameters::{
    BIAS_GRID_LOG2, BIAS_SCALE_LOG2, POLYNOMIAL_SIZE, ROW_WORDS, SEED_BYTES, SLOTS,
    noise_bound_log2, noise_bound_log2_at, tuniform_variance,
};
pub use plain::PlainMap;
pub use profile::Profile;
pub use sparse::{LANES, Lanes, SparseMap};
pub use wire::{Width, pack, unpack};
pub use word::Word;
