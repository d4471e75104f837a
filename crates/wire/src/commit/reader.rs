//! Reading a commit: parts in order, nothing twice, nothing missing, nothing altered.

use sha2::{Digest, Sha256};
use sphinx_linalg::{BiasError, EncryptedBiases, SEED_BYTES};
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::{EncryptedBiases as BiasChange, WeightGradient};

/// What a commit brought, complete and unaltered.
#[derive(Debug, Clone, PartialEq)]
pub struct ReceivedUpdate {
    /// Gradient of the weights by stage; empty where averages are adopted.
    pub gradient: Vec<Vec<f32>>,
    /// The biases by stage with the change added.
    pub biases: Vec<EncryptedBiases>,
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
    /// A bias change that came twice would be added twice.
    #[error("bias changes of stage {stage} come twice or out of order at {offset}")]
    BiasOrder {
        /// Stage of the part.
        stage: u32,
        /// First bias of the part.
        offset: u32,
    },
    /// The ciphertexts of a bias change do not have the form of ciphertexts.
    #[error(transparent)]
    Bias(#[from] BiasError),
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
            Self::GradientOrder { .. } | Self::BiasOrder { .. } | Self::Hash { .. } => true,
            Self::Stage { .. }
            | Self::GradientPart { .. }
            | Self::GradientIncomplete { .. }
            | Self::Bias(_) => false,
        }
    }
}

/// A commit on its way.
pub struct CommitReader {
    /// Number of gradient components of each stage: none where averages are adopted.
    expected: Vec<usize>,
    update: ReceivedUpdate,
    /// Biases of each stage that have changed already.
    changed: Vec<usize>,
    hash: Sha256,
}

impl CommitReader {
    /// Expects so many gradient components by stage, and changes of these biases.
    pub fn new(expected: Vec<usize>, biases: Vec<EncryptedBiases>) -> Self {
        let stages = expected.len();
        let update = ReceivedUpdate { gradient: vec![Vec::new(); stages], biases };
        Self { expected, update, changed: vec![0; stages], hash: Sha256::new() }
    }

    /// Takes the next part. Expanding the masks of bias changes costs about 10 µs each.
    ///
    /// # Errors
    /// [`CommitError`]; what was received is of no use then.
    pub fn take(&mut self, part: &Part) -> Result<(), CommitError> {
        match part {
            Part::Gradient(part) => self.gradient(part),
            Part::BiasChange(part) => self.bias_change(part),
            // Ends the commit; nothing to take in.
            Part::Sha256(_) => Ok(()),
        }
    }

    fn gradient(&mut self, part: &WeightGradient) -> Result<(), CommitError> {
        let stages = self.expected.len();
        let stage = part.stage as usize;
        let (Some(&total), Some(gradient)) =
            (self.expected.get(stage), self.update.gradient.get_mut(stage))
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
        self.hash.update(&part.values);
        Ok(())
    }

    fn bias_change(&mut self, part: &BiasChange) -> Result<(), CommitError> {
        let stages = self.expected.len();
        let stage = part.stage as usize;
        let (Some(biases), Some(changed)) =
            (self.update.biases.get_mut(stage), self.changed.get_mut(stage))
        else {
            return Err(CommitError::Stage { got: part.stage, stages });
        };
        if part.offset as usize != *changed {
            return Err(CommitError::BiasOrder { stage: part.stage, offset: part.offset });
        }
        biases.add_seeded(*changed, &part.seeds, &part.bodies)?;
        *changed += part.seeds.len() / SEED_BYTES;
        self.hash.update(&part.seeds);
        self.hash.update(&part.bodies);
        Ok(())
    }

    /// The whole update, if the hash that ends the commit is that of its parts.
    ///
    /// # Errors
    /// [`CommitError::Hash`] or [`CommitError::GradientIncomplete`].
    pub fn finish(self, expected_hash: &[u8]) -> Result<ReceivedUpdate, CommitError> {
        let got = self.hash.finalize();
        if got.as_slice() != expected_hash {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(CommitError::Hash { got: hex(&got), expected: hex(expected_hash) });
        }
        let counts = self.update.gradient.iter().map(Vec::len).zip(self.expected);
        for (stage, (got, expected)) in counts.enumerate() {
            if got != expected {
                return Err(CommitError::GradientIncomplete { stage, got, expected });
            }
        }
        Ok(self.update)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sphinx_linalg::{BIAS_WIDTH, POLYNOMIAL_SIZE};
    use sphinx_proto::v1::CommitChunk;

    use super::*;
    use crate::commit::{SeededBiases, parts};

    /// Not ciphertexts of anything: the form is what is tested here.
    fn seeded(changes: &[f32]) -> SeededBiases {
        let bodies = changes.len() * POLYNOMIAL_SIZE * BIAS_WIDTH.bytes();
        SeededBiases { seeds: vec![7; changes.len() * SEED_BYTES], bodies: vec![3; bodies] }
    }

    fn read(parts: &[CommitChunk], counts: [usize; 2]) -> Result<ReceivedUpdate, CommitError> {
        let biases = vec![EncryptedBiases::zero(2), EncryptedBiases::zero(1)];
        let mut reader = CommitReader::new(counts.to_vec(), biases);
        for chunk in parts {
            let part = chunk.part.as_ref().unwrap();
            if let Part::Sha256(hash) = part {
                return reader.finish(hash);
            }
            reader.take(part)?;
        }
        panic!("a commit ends with its hash");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(8))]
        #[test]
        fn updates_survive_the_journey(
            first in proptest::collection::vec(-1f32..1.0, 0..40),
            second in proptest::collection::vec(-1f32..1.0, 131_072..131_080),
        ) {
            let gradient = vec![first, second];
            let counts = [gradient[0].len(), gradient[1].len()];
            let sent = parts(&gradient, &[vec![0.5, 0.25], vec![-1.0]], seeded);
            let received = read(&sent, counts).unwrap();
            prop_assert_eq!(&received.gradient, &gradient);
            prop_assert_ne!(&received.biases[0], &EncryptedBiases::zero(2));
            // Whatever part is lost, doubled or swapped, nothing is taken.
            for index in 0..sent.len() - 1 {
                let mut lost = sent.clone();
                lost.remove(index);
                prop_assert!(read(&lost, counts).is_err());
                let mut doubled = sent.clone();
                doubled.insert(index, sent[index].clone());
                prop_assert!(read(&doubled, counts).is_err());
            }
        }
    }

    #[test]
    fn rejects_a_damaged_byte() {
        let sent = parts(&[vec![1.0; 9], Vec::new()], &[Vec::new(), vec![0.5]], seeded);
        let mut damaged = sent.clone();
        let Some(Part::Gradient(part)) = &mut damaged[0].part else { panic!("no gradient") };
        let mut bytes = part.values.to_vec();
        bytes[5] ^= 1;
        part.values = bytes.into();
        assert!(read(&sent, [9, 0]).is_ok());
        assert!(matches!(read(&damaged, [9, 0]), Err(CommitError::Hash { .. })));
    }
}
