//! The parts of an update, and the hash that ends them.

use prost::Message;
use prost::bytes::Bytes;
use sha2::{Digest, Sha256};
use sphinx_proto::v1::{
    Commit, CommitChunk, WeightGradient, commit_chunk::Part as Chunk, train_request::Part,
};

/// Weights of the stages of [`crate::common::network`].
const WEIGHTS: [usize; 2] = [18, 96];

/// The gradient of an update: `tag` tells updates apart.
pub fn gradients(tag: u8) -> Vec<Vec<f32>> {
    let stage = |weights: usize| {
        let mut gradient = vec![f32::from(tag) + 0.5; weights / 3];
        gradient.resize(weights, -0.25);
        gradient
    };
    WEIGHTS.map(stage).to_vec()
}

/// Gradients, in two parts each, and a sealed state: what [`with_hash`] ends.
pub fn chunks(gradients: &[Vec<f32>], sealed: Bytes) -> Vec<Chunk> {
    let mut chunks = Vec::new();
    for (stage, values) in gradients.iter().enumerate() {
        let (first, second) = values.split_at(values.len() / 3);
        chunks.push(gradient(stage, 0, first));
        chunks.push(gradient(stage, first.len(), second));
    }
    chunks.push(Chunk::Sealed(sealed));
    chunks
}

pub fn gradient(stage: usize, offset: usize, values: &[f32]) -> Chunk {
    Chunk::Gradient(WeightGradient {
        stage: stage as u32,
        offset: offset as u64,
        values: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    })
}

/// A header, its chunks, and the hash over all of it.
pub fn with_hash(header: Commit, chunks: Vec<Chunk>) -> Vec<Part> {
    let mut hash = Sha256::new_with_prefix(header.encode_length_delimited_to_vec());
    let mut parts = vec![Part::Commit(header)];
    for chunk in chunks {
        let chunk = CommitChunk { part: Some(chunk) };
        hash.update(chunk.encode_length_delimited_to_vec());
        parts.push(Part::CommitChunk(chunk));
    }
    parts.push(chunk(Chunk::Sha256(hash.finalize().to_vec().into())));
    parts
}

pub fn chunk(part: Chunk) -> Part {
    Part::CommitChunk(CommitChunk { part: Some(part) })
}
