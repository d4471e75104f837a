//! An update as it leaves.

use sphinx_proto::v1::commit_chunk::Part;
use sphinx_wire::sealed as wire;

use crate::error::{ClientError, TrainingError};

/// The exact bytes that commit an update, made once: what is recorded before they leave and sent
/// again after a break. `Default` is the update of a training that sends nothing.
#[derive(Clone, Default, PartialEq)]
pub struct Sealed(wire::Sealed);

impl Sealed {
    /// Reads recorded bytes.
    ///
    /// # Errors
    /// [`TrainingError::Sealed`] for bytes that are not a sealed update.
    pub fn read(bytes: Vec<u8>) -> Result<Self, ClientError> {
        Ok(Self(wire::Sealed::read(bytes)?))
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        self.0.bytes()
    }

    /// The gradient of the weights by stage as the trainer reads it from the bytes, empty where
    /// nothing is sent.
    pub fn gradient(&self) -> Vec<Vec<f32>> {
        let mut gradient: Vec<Vec<f32>> = Vec::new();
        for chunk in self.0.parts() {
            if let Some(Part::Gradient(part)) = &chunk.part {
                let stage = part.stage as usize;
                gradient.resize_with(gradient.len().max(stage + 1), Vec::new);
                let (values, _) = part.values.as_chunks::<4>();
                gradient[stage].extend(values.iter().map(|value| f32::from_le_bytes(*value)));
            }
        }
        gradient
    }

    /// The chain that the update leads to; empty where nothing is sent.
    pub(crate) fn chain(&self) -> &[u8] {
        &self.0.header().chain
    }

    pub(crate) fn of(commit: wire::Sealed) -> Self {
        Self(commit)
    }

    pub(crate) fn commit(&self) -> &wire::Sealed {
        &self.0
    }
}

impl From<wire::SealedError> for ClientError {
    fn from(error: wire::SealedError) -> Self {
        TrainingError::Sealed { cause: error.to_string() }.into()
    }
}
