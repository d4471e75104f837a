//! Inputs made from others by chance.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Longest input that is made, bytes.
const LONGEST: usize = 1 << 16;
/// Numbers at which lengths and counts go wrong.
const ODD: [u64; 12] = [
    0,
    1,
    0x7f,
    0x80,
    0xff,
    0x7fff,
    0xffff,
    0x7fff_ffff,
    0x8000_0000,
    0xffff_ffff,
    0x7fff_ffff_ffff_ffff,
    u64::MAX,
];

/// Makes inputs from known ones: bits flipped, odd numbers put in, pieces doubled, removed and
/// taken from another input.
#[derive(Debug)]
pub struct Mutator {
    known: Vec<Vec<u8>>,
    rng: ChaCha8Rng,
}

impl Mutator {
    /// From these inputs, of which there is one at least.
    pub fn new(known: Vec<Vec<u8>>, seed: u64) -> Self {
        Self { known, rng: ChaCha8Rng::seed_from_u64(seed) }
    }

    /// The next input.
    pub fn make(&mut self) -> Vec<u8> {
        let mut input = self.any();
        for _ in 0..1 << self.rng.random_range(0..4) {
            self.change(&mut input);
        }
        input.truncate(LONGEST);
        input
    }

    fn any(&mut self) -> Vec<u8> {
        let index = self.rng.random_range(0..self.known.len());
        self.known[index].clone()
    }

    fn change(&mut self, input: &mut Vec<u8>) {
        let length = input.len();
        let at = self.rng.random_range(0..=length);
        let until = length.min(at + self.rng.random_range(0..=64));
        match self.rng.random_range(0..8) {
            0 | 1 if length > 0 => input[at.min(length - 1)] ^= 1 << self.rng.random_range(0..8),
            2 if length > 0 => input[at.min(length - 1)] = self.rng.random(),
            3 => {
                let number = ODD[self.rng.random_range(0..ODD.len())];
                let bytes = match self.rng.random() {
                    true => number.to_le_bytes(),
                    false => number.to_be_bytes(),
                };
                let width = 1 << self.rng.random_range(0..4);
                let end = length.min(at + width);
                input.splice(at..end, bytes.into_iter().take(width));
            }
            4 => drop(input.drain(at..until)),
            5 => {
                let piece = input[at..until].to_vec();
                input.splice(at..at, piece);
            }
            6 => {
                let other = self.any();
                let from = self.rng.random_range(0..=other.len());
                let to = other.len().min(from + self.rng.random_range(0..=256));
                input.splice(at..until, other[from..to].iter().copied());
            }
            _ => input.truncate(at),
        }
    }
}
