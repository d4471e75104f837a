//! Whose tickets these are.

use serde::{Deserialize, Serialize};
use sphinx_linalg::{SEED_BYTES, SLOTS, packed_bits_len};

use crate::error::TicketStoreError;

/// Most tickets of a block: as many as one preparation makes.
pub const BLOCK_TICKETS: usize = SLOTS;

/// Whose store it is: the same for all its blocks.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    /// Tenant of the services.
    pub tenant: String,
    /// Id of the model.
    pub model: String,
    /// Id of the key under which the tickets were prepared.
    pub key_id: String,
}

/// The model version that tickets are for, and the shapes of their answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edition {
    /// Tells a model from a deleted one of the same name.
    pub incarnation: Vec<u8>,
    /// Version of the model.
    pub version: u64,
    /// The network's linear stages.
    pub stages: Vec<StageShape>,
}

/// One linear stage as tickets see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StageShape {
    /// Words of the mask r.
    pub inputs: u32,
    /// Words of the answer u.
    pub outputs: u32,
    /// Both are modulo 2 to this, 1 to 32.
    pub modulus_bits: u32,
}

impl Edition {
    pub(crate) fn check(&self) -> Result<(), TicketStoreError> {
        let wrong = |stage: &&StageShape| !(1..=32).contains(&stage.modulus_bits);
        match self.stages.iter().find(wrong) {
            Some(stage) => Err(TicketStoreError::Modulus { got: stage.modulus_bits }),
            None => Ok(()),
        }
    }

    /// Bytes of a ticket before it is sealed.
    pub(crate) fn ticket_bytes(&self) -> usize {
        SEED_BYTES + self.stages.iter().map(StageShape::answer_bytes).sum::<usize>()
    }

    /// Words of every stage's answer.
    pub(crate) fn answer_words(&self) -> Vec<usize> {
        self.stages.iter().map(|stage| stage.outputs as usize).collect()
    }
}

impl StageShape {
    pub(crate) fn answer_bytes(&self) -> usize {
        packed_bits_len(self.outputs as usize, self.modulus_bits)
    }
}
