//! The parts of a commit: the noised weight gradient in the clear, the client's half of the next
//! state sealed, and a hash over everything, the header included.

mod reader;

use bytes::Bytes;
use prost::Message;
use sha2::{Digest, Sha256};
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::{Commit, CommitChunk, WeightGradient};

pub use self::reader::{CommitError, CommitReader, ReceivedUpdate};

/// Scalars of a gradient per part: 0.5 MB.
const WEIGHTS_PER_PART: usize = 131_072;
/// Largest sealed state, bytes: one message.
pub const MAX_SEALED: usize = 3 << 20;

/// The parts that follow `header`: a gradient (by stage, f32), the sealed state, and the hash that
/// ends them.
pub fn parts(header: &Commit, gradient: &[Vec<f32>], sealed: Bytes) -> Vec<CommitChunk> {
    let mut parts = Vec::new();
    for (stage, gradient) in (0..).zip(gradient) {
        for (index, values) in (0u64..).zip(gradient.chunks(WEIGHTS_PER_PART)) {
            let values: Bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            let offset = index * WEIGHTS_PER_PART as u64;
            parts.push(Part::Gradient(WeightGradient { stage, offset, values }));
        }
    }
    parts.push(Part::Sealed(sealed));
    let mut parts: Vec<_> =
        parts.into_iter().map(|part| CommitChunk { part: Some(part) }).collect();
    let mut hash = CommitHash::new(header);
    parts.iter().for_each(|part| hash.update(part));
    parts.push(CommitChunk { part: Some(Part::Sha256(hash.finish().to_vec().into())) });
    parts
}

/// The hash of a commit so far: over its header and chunks, each with its length in front.
struct CommitHash(Sha256);

impl CommitHash {
    fn new(header: &Commit) -> Self {
        Self(Sha256::new_with_prefix(header.encode_length_delimited_to_vec()))
    }

    fn update(&mut self, chunk: &CommitChunk) {
        self.0.update(chunk.encode_length_delimited_to_vec());
    }

    fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }
}
