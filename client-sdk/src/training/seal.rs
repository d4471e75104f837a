//! The exact bytes of a commit.

use prost::Message;
use prost::bytes::Bytes;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use sphinx_linalg::{BIAS_SCALE_LOG2, BIAS_WIDTH, SLOTS};
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::{CommitChunk, EncryptedBiases, WeightGradient};
use sphinx_secret::SecretKey;
use zeroize::Zeroizing;

use crate::training::cloud::Update;

/// Scalars and biases per chunk: 0.5 MB and 0.4 MB.
const WEIGHTS_PER_CHUNK: usize = 131_072;
const BIASES_PER_CHUNK: usize = 32;

/// An update as the chunks that commit it, one length-delimited message after the other.
pub(crate) fn seal(update: &Update, key: &SecretKey, rng: &mut impl CryptoRng) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut hash = Sha256::new();
    let mut push = |part: Part| {
        // Into a vector, encoding cannot run out of room.
        let chunk = CommitChunk { part: Some(part) }.encode_length_delimited_to_vec();
        sealed.extend_from_slice(&chunk);
    };
    for (stage, gradient) in update.gradient.iter().enumerate() {
        for (index, values) in gradient.chunks(WEIGHTS_PER_CHUNK).enumerate() {
            let values: Bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(&values);
            let offset = (index * WEIGHTS_PER_CHUNK) as u64;
            push(Part::Gradient(WeightGradient { stage: stage as u32, offset, values }));
        }
    }
    for (stage, changes) in update.bias_change.iter().enumerate() {
        for (index, changes) in changes.chunks(BIASES_PER_CHUNK).enumerate() {
            let part = encrypt(changes, key, rng);
            hash.update(&part.seeds);
            hash.update(&part.bodies);
            let offset = (index * BIASES_PER_CHUNK) as u32;
            push(Part::BiasChange(EncryptedBiases { stage: stage as u32, offset, ..part }));
        }
    }
    push(Part::Sha256(hash.finalize().to_vec().into()));
    sealed
}

/// The chunks of sealed bytes.
pub(crate) fn unseal(sealed: &[u8]) -> Result<Vec<CommitChunk>, prost::DecodeError> {
    let mut rest = Bytes::copy_from_slice(sealed);
    let mut chunks = Vec::new();
    while !rest.is_empty() {
        chunks.push(CommitChunk::decode_length_delimited(&mut rest)?);
    }
    Ok(chunks)
}

/// Each change in all coefficients of its ciphertext, so that it reaches every sample of a batch.
fn encrypt(changes: &[f32], key: &SecretKey, rng: &mut impl CryptoRng) -> EncryptedBiases {
    let scale = f64::from(BIAS_SCALE_LOG2).exp2();
    let message = |change: &f32| ((f64::from(*change) * scale) as i64).cast_unsigned();
    let messages: Zeroizing<Vec<u64>> = Zeroizing::new(
        changes.iter().flat_map(|change| std::iter::repeat_n(message(change), SLOTS)).collect(),
    );
    let rows = key.encrypt_rows(&messages, BIAS_WIDTH, rng);
    EncryptedBiases { stage: 0, offset: 0, seeds: rows.seeds.into(), bodies: rows.bodies.into() }
}
