//! Keys of one evaluation: as many as there are blocks, under masks that the blocks share.
//!
//! Each (mask, body) is an ordinary GLWE ciphertext under its block's key; with the same mask under
//! independent keys bodies are as secret as with masks of their own (Peikert, Vaikuntanathan &
//! Waters 2008). The keys live for one attempt of one training step and are never stored.

mod decrypt;
mod encrypt;

use std::time::Duration;

use rand::CryptoRng;
use sphinx_check::{Limbs, SlotSums, thread_cpu};
use sphinx_linalg::{Profile, SLOTS};
use zeroize::Zeroizing;

use crate::key::KeyError;
use crate::product::{KeyProduct, Transform};

pub use self::encrypt::SharedRows;

/// Rows that one thread encrypts or decrypts before their sums are taken.
const GROUP: usize = 8;

/// One secret key per body of a block, under a training profile. Wiped on drop.
pub struct BlockKeys {
    profile: Profile,
    transform: Transform,
    keys: Vec<KeyProduct>,
}

/// Where the rows of a product are summed for its check: each row times its coefficient, slot by
/// slot, over the slots of all blocks.
#[derive(Debug)]
pub struct Tally {
    coefficients: Limbs,
    sums: SlotSums,
    cpu: Duration,
}

impl Tally {
    /// A tally of rows of so many blocks, with one coefficient per row.
    pub fn new(coefficients: Limbs, blocks: usize) -> Self {
        let sums = SlotSums::new(blocks * SLOTS);
        Self { coefficients, sums, cpu: Duration::ZERO }
    }

    /// CPU time of all threads that the sums took.
    pub fn cpu(&self) -> Duration {
        self.cpu
    }

    fn merge(&mut self, span: SpanTally) {
        let start = thread_cpu();
        self.sums.merge(span.sums);
        self.cpu += span.cpu + (thread_cpu() - start);
    }

    /// The residue of every slot.
    pub fn finish(self) -> Vec<u64> {
        self.sums.finish()
    }
}

/// The sums of one thread.
struct SpanTally {
    sums: SlotSums,
    cpu: Duration,
}

impl SpanTally {
    fn new(slots: usize) -> Self {
        Self { sums: SlotSums::new(slots), cpu: Duration::ZERO }
    }

    fn add(&mut self, coefficients: &Limbs, place: impl Fn(usize) -> usize, rows: &[i32]) {
        let start = thread_cpu();
        self.sums.add(coefficients, place, rows);
        self.cpu += thread_cpu() - start;
    }
}

impl BlockKeys {
    /// Fresh uniform keys for so many blocks.
    ///
    /// # Errors
    /// [`KeyError::NoTransform`] only.
    pub fn generate(
        profile: Profile,
        blocks: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, KeyError> {
        let mut coefficients = Zeroizing::new(vec![0u8; blocks * SLOTS / 8]);
        rng.fill_bytes(&mut coefficients);
        let bits = coefficients.iter().flat_map(|byte| (0..8).map(move |bit| (byte >> bit) & 1));
        Self::from_coefficients(profile, &Zeroizing::new(bits.collect::<Vec<u8>>()))
    }

    /// Keys from their coefficients, N per body and so one per slot, each 0 or 1.
    ///
    /// # Errors
    /// [`KeyError`] if there are not those of whole blocks, or one is not binary.
    pub fn from_coefficients(profile: Profile, coefficients: &[u8]) -> Result<Self, KeyError> {
        let (got, expected) = (coefficients.len() % SLOTS, SLOTS);
        if got != 0 || coefficients.is_empty() {
            return Err(KeyError::Length { got, expected });
        }
        if let Some(index) = coefficients.iter().position(|&bit| bit > 1) {
            return Err(KeyError::NotBinary { index });
        }
        let size = profile.dimension();
        let transform = Transform::new(size).ok_or(KeyError::NoTransform { size })?;
        let keys = coefficients.chunks_exact(size);
        let keys = keys.map(|key| KeyProduct::with(transform.clone(), key)).collect();
        Ok(Self { profile, transform, keys })
    }

    /// Number of blocks.
    pub fn blocks(&self) -> usize {
        self.keys.len() / self.profile.bodies()
    }

    /// Slots of a row.
    pub fn slots(&self) -> usize {
        self.blocks() * SLOTS
    }

    /// Bytes of a mask, and of one body.
    fn half_bytes(&self) -> usize {
        self.profile.dimension() * self.profile.width().bytes()
    }

    /// Bytes of the bodies of a row.
    fn row_bytes(&self) -> usize {
        self.keys.len() * self.half_bytes()
    }
}

impl std::fmt::Debug for BlockKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockKeys")
            .field("profile", &self.profile)
            .field("blocks", &self.blocks())
            .finish_non_exhaustive()
    }
}

/// Buffers of one thread. All but the mask hold secrets on the way and are wiped on drop.
struct Scratch {
    mask: Vec<u32>,
    transformed: Vec<u64>,
    /// A product with a key.
    product: Zeroizing<Vec<u64>>,
    body: Zeroizing<Vec<u32>>,
    /// Up to [`GROUP`] rows, with their noise.
    rows: Zeroizing<Vec<i32>>,
    noise: Vec<u8>,
}

impl Scratch {
    fn new(size: usize, slots: usize) -> Self {
        Self {
            mask: vec![0; size],
            transformed: vec![0; size],
            product: Zeroizing::new(vec![0; size]),
            body: Zeroizing::new(vec![0; size]),
            rows: Zeroizing::new(vec![0; GROUP * slots]),
            noise: Vec::new(),
        }
    }
}

/// Rows of one thread, so that every thread needs sums of its own once.
fn span(rows: usize) -> usize {
    rows.div_ceil(rayon::current_num_threads()).max(1)
}
