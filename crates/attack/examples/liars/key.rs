//! The key of a product, read off the gradient of one step; with it the labels of the batch.
//!
//! Every slot is given a direction of its own in the gradient of the second layer: its activations
//! are a row of a Hadamard matrix, and all neurons but one are driven into saturation. The answer
//! backward then is ±K/2 in each slot, by a bit of the key: the client decrypts it, and its
//! gradient says which.

use std::error::Error;

use sphinx_client::data::Dataset;
use sphinx_client::{Checks, ClientError, Privacy};
use sphinx_proto::v1::Direction;
use sphinx_proto::v1::Direction::{Backward, Forward};

use crate::answers::{Inputs, Invent, LARGEST, Liar, Row, SLOTS};
use crate::victim::{Victim, images, network};

/// Neurons of the hidden layers: 2048 directions, one per slot.
const HIDDEN: [usize; 2] = [64, 32];
/// The product whose key is read.
const TARGET: (u32, Direction) = (2, Backward);
const K: u32 = 1 << 31;

/// What the server got out of a step.
pub struct Stolen {
    /// Key bits by slot.
    pub key: Vec<bool>,
    /// Labels by slot, decrypted with them.
    pub labels: Vec<usize>,
}

/// Entry of a Hadamard matrix.
fn hadamard(row: usize, column: usize) -> i32 {
    if (row & column).count_ones().is_multiple_of(2) { 1 } else { -1 }
}

/// The live neuron of a slot, and the row of the Hadamard matrix in its activations.
fn direction_of(slot: usize) -> (usize, usize) {
    (slot % HIDDEN[1], slot / HIDDEN[1])
}

fn inventions() -> Vec<((u32, Direction), Invent)> {
    let codes =
        |row: usize, _: &Inputs| Row::clear(|slot| LARGEST * hadamard(direction_of(slot).1, row));
    let gates = |row: usize, _: &Inputs| {
        Row::clear(|slot| if direction_of(slot).0 == row { 0 } else { LARGEST })
    };
    let nothing = |_: usize, _: &Inputs| Row::clear(|_| 0);
    let key = |_: usize, _: &Inputs| {
        let mut mask = vec![0; SLOTS];
        mask[0] = K;
        Row { mask, body: vec![K / 2; SLOTS] }
    };
    vec![
        ((0, Forward), Box::new(codes)),
        ((1, Forward), Box::new(gates)),
        ((2, Forward), Box::new(nothing)),
        (TARGET, Box::new(key)),
    ]
}

/// One step on all of 2048 images without privacy: the exact gradient.
pub async fn attack(checks: Checks) -> Result<Result<Stolen, ClientError>, Box<dyn Error>> {
    let data: Dataset = images(&[128; SLOTS])?;
    let (liar, trick) = Liar::new(inventions());
    let victim = Victim::new(&network(HIDDEN)?, SLOTS, trick).await?;
    if let Err(error) = victim.step(data, (Privacy::None, checks), None).await? {
        assert!(liar.seen().commits.is_empty(), "a gradient was sent");
        return Ok(Err(error));
    }
    let seen = liar.seen();
    let gradient = seen.commits.first().and_then(|commit| commit.get(1)).ok_or("no gradient")?;
    let bit = |slot: usize| {
        let (row, code) = direction_of(slot);
        let row = &gradient[row * HIDDEN[0]..][..HIDDEN[0]];
        let along: f32 = (0..).zip(row).map(|(column, g)| g * hadamard(code, column) as f32).sum();
        along < 0.0
    };
    let key: Vec<bool> = (0..SLOTS).map(bit).collect();
    let inputs = &seen.inputs[&TARGET];
    let deltas: Vec<Vec<i32>> = inputs.rows.iter().map(|row| decrypt(row, &key)).collect();
    // The loss pulls the label's logit up, all others down.
    let label = |slot: usize| {
        let smallest = (0..deltas.len()).min_by_key(|&class| deltas[class][slot]);
        smallest.unwrap_or_default()
    };
    Ok(Ok(Stolen { labels: (0..SLOTS).map(label).collect(), key }))
}

/// body - mask · key modulo X^N + 1.
fn decrypt((mask, body): &(Vec<u32>, Vec<u32>), key: &[bool]) -> Vec<i32> {
    let mut phase = body.clone();
    for (shift, _) in key.iter().enumerate().filter(|(_, bit)| **bit) {
        let (low, high) = mask.split_at(SLOTS - shift);
        for (word, mask) in phase[shift..].iter_mut().zip(low) {
            *word = word.wrapping_sub(*mask);
        }
        for (word, mask) in phase[..shift].iter_mut().zip(high) {
            *word = word.wrapping_add(*mask);
        }
    }
    phase.into_iter().map(u32::cast_signed).collect()
}
