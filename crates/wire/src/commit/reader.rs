//! Reading a commit: parts in order, nothing twice, nothing missing, nothing altered.

use bytes::Bytes;
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::{Commit, CommitChunk, WeightGradient};

use super::{CommitHash, MAX_SEALED};

/// What a commit brought, complete and unaltered.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedUpdate {
    /// Gradient of the weights by stage; empty where averages are adopted.
    pub gradient: Vec<Vec<f32>>,
    /// The client's half of the next state; opaque here.
    pub sealed: Bytes,
}

/// A commit that cannot be taken.
///
/// [`is_broken_stream`](Self::is_broken_stream) tells what happened on the way here, where the same
/// parts sent again are taken, from parts that do not fit the network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A part of a stage that the network does not have.
    #[error("stage {got} of a network that has {stages}")]
    Stage {
        /// Stage of the part.
        got: u32,
        /// Stages of the network.
        stages: usize,
    },
    /// Gradient parts come in order without gaps.
    #[error(
        "weight gradient of stage {stage} comes twice or out of order at {offset}: expected \
         {expected}"
    )]
    GradientOrder {
        /// Stage of the part.
        stage: u32,
        /// Scalar at which it starts.
        offset: u64,
        /// Scalar at which the next part starts.
        expected: usize,
    },
    /// A gradient part that is not whole scalars, or more than the stage has.
    #[error(
        "weight gradient of stage {stage} at {offset} with {got} bytes: expected whole f32 within \
         {total}"
    )]
    GradientPart {
        /// Stage of the part.
        stage: u32,
        /// Scalar at which it starts.
        offset: u64,
        /// Its bytes.
        got: usize,
        /// Scalars of the stage in all.
        total: usize,
    },
    /// The hash came before the last gradient part.
    #[error("weight gradient of stage {stage} has {got} of {expected} values")]
    GradientIncomplete {
        /// The stage.
        stage: usize,
        /// Scalars received.
        got: usize,
        /// Scalars of the stage.
        expected: usize,
    },
    /// The sealed state comes once.
    #[error("the sealed state comes twice")]
    SealedTwice,
    /// The commit has no sealed state.
    #[error("the commit ends without a sealed state")]
    NoSealed,
    /// The sealed state is larger than any.
    #[error("a sealed state of {got} bytes, expected at most {limit}")]
    SealedLength {
        /// Its bytes.
        got: usize,
        /// Most bytes.
        limit: usize,
    },
    /// The parts are not those that were hashed.
    #[error("the commit's parts hash to {got}, its end says {expected}: send it again")]
    Hash {
        /// SHA-256 of what was received, hexadecimal.
        got: String,
        /// What the commit ends with, hexadecimal.
        expected: String,
    },
}

impl CommitError {
    /// Whether the stream broke its own order or altered a part: lost, doubled, swapped or damaged.
    pub fn is_broken_stream(&self) -> bool {
        match self {
            Self::GradientOrder { .. } | Self::SealedTwice | Self::Hash { .. } => true,
            Self::Stage { .. }
            | Self::GradientPart { .. }
            | Self::GradientIncomplete { .. }
            | Self::NoSealed
            | Self::SealedLength { .. } => false,
        }
    }
}

/// A commit on its way.
pub struct CommitReader {
    /// Number of gradient components of each stage: none where averages are adopted.
    expected: Vec<usize>,
    gradient: Vec<Vec<f32>>,
    sealed: Option<Bytes>,
    hash: CommitHash,
}

impl CommitReader {
    /// Expects the parts of a header with so many gradient components by stage.
    pub fn new(header: &Commit, expected: Vec<usize>) -> Self {
        let gradient = vec![Vec::new(); expected.len()];
        Self { expected, gradient, sealed: None, hash: CommitHash::new(header) }
    }

    /// Takes the next part; the hash that ends the commit is for [`Self::finish`].
    ///
    /// # Errors
    /// [`CommitError`]; what was received is of no use then.
    pub fn take(&mut self, part: Part) -> Result<(), CommitError> {
        let chunk = CommitChunk { part: Some(part) };
        self.hash.update(&chunk);
        match chunk.part {
            Some(Part::Gradient(part)) => self.gradient(&part),
            Some(Part::Sealed(sealed)) => self.sealed(sealed),
            Some(Part::Sha256(_)) | None => Ok(()),
        }
    }

    fn gradient(&mut self, part: &WeightGradient) -> Result<(), CommitError> {
        let stages = self.expected.len();
        let place = part.stage as usize;
        let (Some(&total), Some(gradient)) =
            (self.expected.get(place), self.gradient.get_mut(place))
        else {
            return Err(CommitError::Stage { got: part.stage, stages });
        };
        let (values, rest) = part.values.as_chunks::<4>();
        let (stage, offset) = (part.stage, part.offset);
        if offset != gradient.len() as u64 {
            return Err(CommitError::GradientOrder { stage, offset, expected: gradient.len() });
        }
        if !rest.is_empty() || gradient.len() + values.len() > total {
            let got = part.values.len();
            return Err(CommitError::GradientPart { stage, offset, got, total });
        }
        gradient.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
        Ok(())
    }

    fn sealed(&mut self, sealed: Bytes) -> Result<(), CommitError> {
        if sealed.len() > MAX_SEALED {
            return Err(CommitError::SealedLength { got: sealed.len(), limit: MAX_SEALED });
        }
        match self.sealed.replace(sealed) {
            Some(_) => Err(CommitError::SealedTwice),
            None => Ok(()),
        }
    }

    /// The whole update, if the hash that ends the commit is that of its parts.
    ///
    /// # Errors
    /// [`CommitError::Hash`], [`CommitError::GradientIncomplete`] or [`CommitError::NoSealed`].
    pub fn finish(self, expected_hash: &[u8]) -> Result<ReceivedUpdate, CommitError> {
        let got = self.hash.finish();
        if got.as_slice() != expected_hash {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(CommitError::Hash { got: hex(&got), expected: hex(expected_hash) });
        }
        let counts = self.gradient.iter().map(Vec::len).zip(self.expected);
        for (stage, (got, expected)) in counts.enumerate() {
            if got != expected {
                return Err(CommitError::GradientIncomplete { stage, got, expected });
            }
        }
        let sealed = self.sealed.ok_or(CommitError::NoSealed)?;
        Ok(ReceivedUpdate { gradient: self.gradient, sealed })
    }
}

#[cfg(test)]
mod tests;
