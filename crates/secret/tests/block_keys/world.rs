//! An evaluation from the rows that are encrypted to the sums that are compared.

use std::sync::{Arc, Mutex};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_check::{Limbs, project, random};
use sphinx_linalg::{
    Group, LinearMap, POLYNOMIAL_SIZE, PackedMap, Patch, Profile, Seed, Upload, Width, expand_mask,
    pack, unpack,
};
use sphinx_secret::{BlockKeys, SharedRows, Tally};
use tfhe::core_crypto::prelude::*;

pub const HALF: usize = 4 * POLYNOMIAL_SIZE;
pub const NOISE: i32 = 16;

pub fn bits(blocks: usize, rng: &mut ChaCha20Rng) -> Vec<u8> {
    (0..blocks * POLYNOMIAL_SIZE).map(|_| rng.random_range(0..2)).collect()
}

/// The keys of the blocks as tfhe has them.
pub fn theirs(bits: &[u8]) -> Vec<GlweSecretKeyOwned<u32>> {
    let keys = bits.chunks_exact(POLYNOMIAL_SIZE);
    keys.map(|key| {
        let words = key.iter().map(|&bit| u32::from(bit)).collect();
        GlweSecretKey::from_container(words, PolynomialSize(POLYNOMIAL_SIZE))
    })
    .collect()
}

/// Integers of so many rows for the slots of all blocks.
pub fn messages(rows: usize, slots: usize, rng: &mut ChaCha20Rng) -> Vec<i32> {
    (0..rows * slots).map(|_| rng.random_range(-(1 << 14)..=1 << 14)).collect()
}

/// Row after row, in pieces as a stream sends them.
pub fn encrypt(
    keys: &BlockKeys,
    messages: &[i32],
    pieces: usize,
    tally: &mut Tally,
    rng: &mut ChaCha20Rng,
) -> SharedRows {
    let slots = keys.slots();
    let rows = messages.len() / slots;
    let mut noise: Vec<_> = (0..keys.blocks()).map(|_| ChaCha20Rng::from_rng(rng)).collect();
    let mut whole = SharedRows { seeds: vec![], bodies: vec![] };
    for first in (0..rows).step_by(pieces) {
        let count = pieces.min(rows - first);
        let fill = |row: usize, values: &mut [i32]| {
            values.copy_from_slice(&messages[row * slots..][..slots]);
        };
        let part = keys.encrypt_rows((first, count), (rng, &mut noise), fill, tally);
        whole.seeds.extend(part.seeds);
        whole.bodies.extend(part.bodies);
    }
    whole
}

/// The masks of seeds, as they are sent back.
pub fn masks(seeds: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; seeds.len() / 16 * HALF];
    for (seed, bytes) in seeds.as_chunks::<16>().0.iter().zip(bytes.chunks_exact_mut(HALF)) {
        let mut mask = vec![0u32; POLYNOMIAL_SIZE];
        expand_mask(Seed(*seed), &mut mask);
        pack(&mask, Width::Four, bytes);
    }
    bytes
}

pub fn words(bytes: &[u8]) -> Vec<u32> {
    let mut words = vec![0; bytes.len() / 4];
    let rows = words.chunks_exact_mut(POLYNOMIAL_SIZE).zip(bytes.chunks_exact(HALF));
    rows.for_each(|(words, bytes)| unpack(bytes, Width::Four, words));
    words
}

/// A tally that nobody looks at.
pub fn idle(rows: usize, blocks: usize) -> Tally {
    Tally::new(Limbs::new(&vec![0; rows]), blocks)
}

/// What came back: numbers of rows, their masks, and their bodies of all blocks.
#[derive(Clone)]
pub struct Answer {
    pub numbers: Vec<u32>,
    pub masks: Vec<u8>,
    pub bodies: Vec<u8>,
}

/// The integers of all rows by number, and the sums of the tally.
pub fn decrypt(keys: &BlockKeys, answer: &Answer, tau: &[u64]) -> (Vec<i32>, Vec<u64>) {
    let slots = keys.slots();
    let mut tally = Tally::new(Limbs::new(tau), keys.blocks());
    let values = Mutex::new(vec![0; tau.len() * slots]);
    let places = answer.numbers.clone();
    let bytes = (&*answer.masks, &*answer.bodies);
    keys.decrypt_rows(bytes, &answer.numbers, places, &mut tally, |number, place, row| {
        assert_eq!(number, place);
        values.lock().unwrap()[number as usize * slots..][..slots].copy_from_slice(row);
    })
    .unwrap();
    (values.into_inner().unwrap(), tally.finish())
}

/// A map of three rows to each of some patches, with weights that keep products of
/// [`messages`] below 2^31.
pub fn random_map(rng: &mut ChaCha20Rng) -> LinearMap {
    let (inputs, patches) = (rng.random_range(4..24usize), rng.random_range(1..8usize));
    let (taps, rows) = (rng.random_range(1..20usize), 3);
    let places: Arc<[Patch]> = (0..patches)
        .map(|patch| Patch {
            gather: (0..taps).map(|_| rng.random_range(0..inputs as u32)).collect(),
            scatter: (0..rows).map(|row| (row * patches + patch) as u32).collect(),
        })
        .collect();
    let weight = |_| rng.random_range(1..5000) * if rng.random() { 1 } else { -1 };
    let weights = (0..rows * taps).map(weight).collect();
    let group = Group { taps, rows, weights, patches: places };
    LinearMap::new(inputs, rows * patches, vec![group]).unwrap()
}

/// The product over the integers, row after row.
pub fn product(map: &LinearMap, inputs: &[i32], slots: usize) -> Vec<i64> {
    let mut outputs = vec![0; map.outputs() * slots];
    for group in map.groups() {
        for patch in group.patches.iter() {
            for (row, &output) in patch.scatter.iter().enumerate() {
                for (tap, &input) in patch.gather.iter().enumerate() {
                    let weight = i64::from(group.weights[row * group.taps + tap]);
                    let inputs = &inputs[input as usize * slots..][..slots];
                    let sums = &mut outputs[output as usize * slots..][..slots];
                    sums.iter_mut().zip(inputs).for_each(|(sum, &x)| *sum += weight * i64::from(x));
                }
            }
        }
    }
    outputs
}

/// What an honest server answers.
pub fn evaluate(map: &LinearMap, rows: &SharedRows, blocks: usize) -> Answer {
    let mut upload = Upload::<u32>::new(map.inputs(), blocks, Width::Four);
    upload.push(0, &rows.seeds, &rows.bodies).unwrap();
    let inputs = upload.finish().unwrap();
    let packed = PackedMap::new(map.clone());
    let mut answer = Answer { numbers: vec![], masks: vec![], bodies: vec![] };
    for unit in packed.units(inputs.columns()) {
        let outputs = packed.evaluate(&unit, &inputs).unwrap();
        for words in outputs.words.chunks_exact(outputs.columns) {
            let (mask, bodies) = words.split_at(POLYNOMIAL_SIZE);
            answer.masks.extend(mask.iter().flat_map(|word| word.to_le_bytes()));
            answer.bodies.extend(bodies.iter().flat_map(|word| word.to_le_bytes()));
        }
        answer.numbers.extend(outputs.rows);
    }
    answer
}

/// One evaluation, honestly answered.
pub struct World {
    pub keys: BlockKeys,
    pub map: LinearMap,
    /// What was encrypted, noise included.
    pub noisy: Vec<i32>,
    pub messages: Vec<i32>,
    pub tau: Vec<u64>,
    /// The tally of the inputs.
    pub expected: Vec<u64>,
    pub answer: Answer,
}

impl World {
    pub fn new(blocks: usize, rng: &mut ChaCha20Rng) -> Self {
        let keys = BlockKeys::generate(Profile::Glwe2048T32, blocks, rng).unwrap();
        let map = random_map(rng);
        let messages = messages(map.inputs(), keys.slots(), rng);
        let tau = random(map.outputs(), rng);
        let mut tally = Tally::new(Limbs::new(&project(&map, &tau)), blocks);
        let pieces = rng.random_range(1..=map.inputs());
        let rows = encrypt(&keys, &messages, pieces, &mut tally, rng);
        let numbers = (0..map.inputs() as u32).collect();
        let fresh = Answer { numbers, masks: masks(&rows.seeds), bodies: rows.bodies.clone() };
        let (noisy, _) = decrypt(&keys, &fresh, &vec![0; map.inputs()]);
        let answer = evaluate(&map, &rows, blocks);
        Self { keys, map, noisy, messages, tau, expected: tally.finish(), answer }
    }

    /// The slots whose tally differs from that of the inputs.
    pub fn caught(&self, answer: &Answer) -> Vec<usize> {
        let (_, sums) = decrypt(&self.keys, answer, &self.tau);
        let slots = sums.iter().zip(&self.expected).enumerate();
        slots.filter(|(_, (got, expected))| got != expected).map(|(slot, _)| slot).collect()
    }

    /// The honest answer with `change` made to it.
    pub fn lie(&self, change: impl FnOnce(&mut Answer)) -> Vec<usize> {
        let mut answer = self.answer.clone();
        change(&mut answer);
        self.caught(&answer)
    }
}
