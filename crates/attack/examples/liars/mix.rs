//! One example in the slots of others: its pixel is read off a private step, and it moves the
//! clipped sum by far more than the clipping norm.
//!
//! The answers are ciphertexts times powers of X: what is decrypted in one slot comes from another.
//! A pixel of the example in slot 0 opens or closes the gradients of the 64 slots after it.

use std::error::Error;

use sphinx_client::{Checks, ClientError, Privacy, Target};
use sphinx_proto::v1::Direction;
use sphinx_proto::v1::Direction::{Backward, Forward};

use crate::answers::{Inputs, Invent, LARGEST, Liar, Row, SLOTS};
use crate::victim::{BATCH, PIXELS, Victim, delta, images, network};

/// Neurons of the hidden layers.
const HIDDEN: [usize; 2] = [64, 64];
/// Examples of the data set.
pub const EXAMPLES: usize = 20_000;
const CLIPPING_NORM: f32 = 0.1;
/// Half of the range of results: far into the saturation of tanh.
const HALF: u32 = 1 << 30;
/// A pixel, at most 2^14 as it is encrypted, fills half of the range with this.
const PIXEL_GAIN: u32 = 1 << 16;
/// An activation, ±2^14 as it is encrypted, fills half of the range with this.
const BIT_GAIN: u32 = 1 << 16;
/// 62.1 activations of 1: with 64 of them a slot is closed, with 63 and one of -1 it is open.
const GATE: u32 = ((621 << 30) / 10u64) as u32;

/// What is known of a step.
pub struct Step {
    /// Gradient of all weights, as it was sent.
    pub gradient: Vec<f32>,
    /// Expected size of the batch, which the sum was divided by.
    batch: f32,
}

/// The slot in which neuron `row` of the first layer shows a pixel of slot 0.
fn reader(row: usize) -> usize {
    row + 1
}

/// A ciphertext times `gain` X^`by`, plus a clear integer per slot.
fn shifted(
    (mask, body): &(Vec<u32>, Vec<u32>),
    (by, gain): (usize, u32),
    plus: impl Fn(usize) -> i32,
) -> Row {
    let turn = |words: &[u32]| -> Vec<u32> {
        let moved = |slot: usize| match slot.checked_sub(by) {
            Some(from) => words[from].wrapping_mul(gain),
            None => words[slot + SLOTS - by].wrapping_mul(gain).wrapping_neg(),
        };
        (0..SLOTS).map(moved).collect()
    };
    let mut body = turn(body);
    for (slot, word) in body.iter_mut().enumerate() {
        *word = word.wrapping_add(plus(slot).cast_unsigned());
    }
    Row { mask: turn(mask), body }
}

fn inventions() -> Vec<((u32, Direction), Invent)> {
    // Everywhere 1, but in its reader by the first pixel of slot 0: 1 if bright, -1 if dark.
    let bits = |row: usize, inputs: &Inputs| {
        let by = reader(row);
        shifted(&inputs.rows[0], (by, PIXEL_GAIN), |slot| match slot {
            _ if slot == by => -(1 << 29),
            // What comes around the end is negated; room for the noise on both sides.
            _ if slot < by => LARGEST - (1 << 21),
            _ => HALF as i32 - (1 << 21),
        })
    };
    // 0 where one of the 64 neurons is -1, else far into the saturation.
    let gates = |_: usize, inputs: &Inputs| {
        let mut sum = Row::clear(|_| GATE.wrapping_neg().cast_signed());
        for (mask, body) in &inputs.rows {
            let add = |(sum, word): (&mut u32, &u32)| {
                *sum = sum.wrapping_add(word.wrapping_mul(BIT_GAIN));
            };
            sum.mask.iter_mut().zip(mask).for_each(add);
            sum.body.iter_mut().zip(body).for_each(add);
        }
        sum
    };
    let nothing = |_: usize, _: &Inputs| Row::clear(|_| 0);
    let push = |_: usize, _: &Inputs| Row::clear(|_| LARGEST);
    vec![
        ((0, Forward), Box::new(bits)),
        ((1, Forward), Box::new(gates)),
        ((2, Forward), Box::new(nothing)),
        ((2, Backward), Box::new(push)),
    ]
}

/// One step within ε = 2 on images of one brightness each; batch, slots and noise are the same for
/// the same seed.
pub async fn step(
    levels: &[u8],
    checks: Checks,
    seed: [u8; 32],
) -> Result<Result<Step, ClientError>, Box<dyn Error>> {
    let (liar, trick) = Liar::new(inventions());
    let victim = Victim::new(&network(HIDDEN)?, EXAMPLES, trick).await?;
    let target = Target::new(2.0, delta()?)?;
    let privacy = Privacy::Budget { target, clipping_norm: CLIPPING_NORM };
    if let Err(error) = victim.step(images(levels)?, (privacy, checks), Some(seed)).await? {
        assert!(liar.seen().commits.is_empty(), "a gradient was sent");
        return Ok(Err(error));
    }
    let seen = liar.seen();
    let commit = seen.commits.first().ok_or("no gradient")?;
    Ok(Ok(Step { gradient: commit.concat(), batch: BATCH as f32 }))
}

/// Which example is in slot 0 with this seed, read bit by bit from its first pixel: in trial k,
/// those are bright whose number has bit k.
pub async fn in_slot_zero(seed: [u8; 32]) -> Result<usize, Box<dyn Error>> {
    let mut example = 0;
    for bit in 0..EXAMPLES.ilog2() + 1 {
        let level = |example: usize| if example >> bit & 1 == 1 { 255 } else { 0 };
        let levels: Vec<u8> = (0..EXAMPLES).map(level).collect();
        let step = Box::pin(step(&levels, Checks::None, seed)).await?;
        let step = step.map_err(|error| format!("a client without checks noticed: {error}"))?;
        example |= usize::from(step.is_bright()) << bit;
    }
    Ok(example)
}

impl Step {
    /// What the server reads: the gradient of the second layer along the direction in which open
    /// slots push it, in clipping norms. Each open slot adds up to one.
    pub fn open(&self) -> f32 {
        let first = HIDDEN[0] * PIXELS;
        let second = &self.gradient[first..][..HIDDEN[0] * HIDDEN[1]];
        second.iter().sum::<f32>() / (second.len() as f32).sqrt() * self.batch / CLIPPING_NORM
    }

    /// The first pixel of whoever is in slot 0, as the server sees it.
    pub fn is_bright(&self) -> bool {
        self.open().abs() < HIDDEN[0] as f32 / 4.0
    }

    /// How far the sums of two steps are apart, in clipping norms.
    pub fn distance(&self, other: &Self) -> f32 {
        let pairs = self.gradient.iter().zip(&other.gradient);
        let squares: f32 = pairs.map(|(a, b)| (a - b).powi(2)).sum();
        squares.sqrt() * self.batch / CLIPPING_NORM
    }
}
