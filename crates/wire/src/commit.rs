//! The parts of a commit: the noised weight gradient in the clear, the bias change encrypted, and
//! a hash over both.

mod reader;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use sphinx_linalg::{BIAS_SCALE_LOG2, SLOTS};
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::{CommitChunk, EncryptedBiases, WeightGradient};

pub use self::reader::{CommitError, CommitReader, ReceivedUpdate};

/// Scalars of a gradient per part: 0.5 MB.
const WEIGHTS_PER_PART: usize = 131_072;
/// Biases per part: 0.4 MB.
const BIASES_PER_PART: usize = 32;

/// Seeded ciphertexts modulo 2^64, bodies in [`sphinx_linalg::BIAS_WIDTH`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeededBiases {
    /// 16 bytes per bias.
    pub seeds: Vec<u8>,
    /// N words of six bytes per bias.
    pub bodies: Vec<u8>,
}

/// The parts that commit a gradient (by stage, f32) and a bias change (by stage, multiples of
/// 2^-16), in the order of the hash that ends them.
///
/// `encrypt` encrypts rows of [`SLOTS`] messages: each change in all coefficients of its
/// ciphertext, so that it reaches every sample of a batch.
pub fn parts(
    gradient: &[Vec<f32>],
    bias_change: &[Vec<f32>],
    mut encrypt: impl FnMut(&[f32]) -> SeededBiases,
) -> Vec<CommitChunk> {
    let mut hash = Sha256::new();
    let mut parts = Vec::new();
    for (stage, gradient) in (0..).zip(gradient) {
        for (index, values) in (0u64..).zip(gradient.chunks(WEIGHTS_PER_PART)) {
            let values: Bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(&values);
            let offset = index * WEIGHTS_PER_PART as u64;
            parts.push(Part::Gradient(WeightGradient { stage, offset, values }));
        }
    }
    for (stage, changes) in (0..).zip(bias_change) {
        for (index, changes) in (0u32..).zip(changes.chunks(BIASES_PER_PART)) {
            let SeededBiases { seeds, bodies } = encrypt(changes);
            hash.update(&seeds);
            hash.update(&bodies);
            let (offset, seeds) = (index * BIASES_PER_PART as u32, seeds.into());
            let change = EncryptedBiases { stage, offset, seeds, bodies: bodies.into() };
            parts.push(Part::BiasChange(change));
        }
    }
    parts.push(Part::Sha256(hash.finalize().to_vec().into()));
    parts.into_iter().map(|part| CommitChunk { part: Some(part) }).collect()
}

/// The messages of bias changes for their ciphertexts: [`SLOTS`] equal words per change, at
/// 2^48 per unit.
pub fn bias_messages(changes: &[f32]) -> Vec<u64> {
    let scale = f64::from(BIAS_SCALE_LOG2).exp2();
    let message = |change: &f32| ((f64::from(*change) * scale) as i64).cast_unsigned();
    changes.iter().flat_map(|change| std::iter::repeat_n(message(change), SLOTS)).collect()
}
