//! Tickets as they enter and leave the store, and as bytes.

use std::fmt;

use sphinx_linalg::{SEED_BYTES, pack_bits, unpack_bits};
use zeroize::Zeroizing;

use crate::edition::Edition;
use crate::error::TicketStoreError;

/// Where a ticket was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    pub(crate) block: u128,
    pub(crate) number: u32,
}

/// A ticket that was taken out of the store; nobody else gets it. Wiped on drop.
pub struct StoredTicket {
    /// Where it was kept.
    pub place: Place,
    /// What the masks r are expanded from.
    pub seed: Zeroizing<[u8; SEED_BYTES]>,
    /// u of every stage, modulo 2^`modulus_bits`.
    pub answers: Vec<Zeroizing<Vec<u32>>>,
}

/// A ticket to be kept.
#[derive(Clone, Copy)]
pub struct TicketParts<'a> {
    /// What the masks r are expanded from.
    pub seed: &'a [u8; SEED_BYTES],
    /// u of every stage; only the low `modulus_bits` bits are kept.
    pub answers: &'a [Zeroizing<Vec<u32>>],
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}/{}", self.block, self.number)
    }
}

impl fmt::Debug for StoredTicket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredTicket").field("place", &self.place).finish_non_exhaustive()
    }
}

impl fmt::Debug for TicketParts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketParts(..)")
    }
}

impl StoredTicket {
    /// The same as something to be kept.
    pub fn parts(&self) -> TicketParts<'_> {
        TicketParts { seed: &self.seed, answers: &self.answers }
    }

    /// `bytes` are of an edition's size.
    pub(crate) fn from_bytes(place: Place, edition: &Edition, bytes: &[u8]) -> Self {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        let (head, mut rest) = bytes.split_at(SEED_BYTES);
        seed.copy_from_slice(head);
        let unpack = |stage: &crate::StageShape| {
            let (packed, behind) = rest.split_at(stage.answer_bytes());
            rest = behind;
            let mut words = Zeroizing::new(vec![0; stage.outputs as usize]);
            unpack_bits(packed, stage.modulus_bits, &mut words);
            words
        };
        let answers = edition.stages.iter().map(unpack).collect();
        Self { place, seed, answers }
    }
}

impl TicketParts<'_> {
    pub(crate) fn check(&self, index: usize, edition: &Edition) -> Result<(), TicketStoreError> {
        let got: Vec<usize> = self.answers.iter().map(|answer| answer.len()).collect();
        let expected = edition.answer_words();
        if got == expected { Ok(()) } else { Err(TicketStoreError::Shape { index, got, expected }) }
    }

    pub(crate) fn to_bytes(self, edition: &Edition) -> Zeroizing<Vec<u8>> {
        let mut bytes = Zeroizing::new(vec![0; edition.ticket_bytes()]);
        let (head, mut rest) = bytes.split_at_mut(SEED_BYTES);
        head.copy_from_slice(self.seed);
        for (stage, answer) in edition.stages.iter().zip(self.answers) {
            let (packed, behind) = rest.split_at_mut(stage.answer_bytes());
            pack_bits(answer, stage.modulus_bits, packed);
            rest = behind;
        }
        bytes
    }
}
