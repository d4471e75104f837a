//! Which examples each step uses, and in which slots.

use rand::RngExt;
use rand::seq::SliceRandom;
use sphinx_linalg::SLOTS;
use sphinx_privacy::{PoissonSampler, PrivacyPlan};

use crate::training::augmentation::{Augmentation, copies};
use crate::training::inputs::{Slot, View};
use crate::training::persons::Persons;
use crate::training::randomness::{Purpose, StepRandomness};

/// The source of batches. `Debug` is left out: who is in a batch is secret.
pub(crate) enum Batches {
    /// Each example independently with the same probability, as the privacy proof needs.
    Poisson(PoissonSampler),
    /// Every example once per epoch, in random order.
    Shuffled {
        /// Examples of an epoch.
        examples: usize,
        /// Examples of a full batch; the last one of an epoch takes what is left.
        size: usize,
    },
}

impl Batches {
    pub fn new(examples: usize, size: u64, plan: Option<&PrivacyPlan>) -> Self {
        match plan {
            Some(plan) => Self::Poisson(PoissonSampler::new(
                examples,
                plan.segment.sampling_rate,
                usize::try_from(plan.capacity).unwrap_or(usize::MAX),
            )),
            None => {
                let size = usize::try_from(size).unwrap_or(usize::MAX).clamp(1, examples.max(1));
                Self::Shuffled { examples, size }
            }
        }
    }

    /// The examples of a step, whatever was drawn for others. Shuffling takes about 10 ns per
    /// example of the data.
    pub fn draw(&self, randomness: &StepRandomness, step: u64) -> Vec<usize> {
        match *self {
            Self::Poisson(sampler) => {
                sampler.draw(&mut randomness.of(Purpose::Batch, step)).indices
            }
            Self::Shuffled { examples, size } => {
                let steps = examples.div_ceil(size).max(1) as u64;
                let mut order: Vec<usize> = (0..examples).collect();
                order.shuffle(&mut randomness.of(Purpose::Epoch, step / steps));
                order.into_iter().skip((step % steps) as usize * size).take(size).collect()
            }
        }
    }
}

/// What the slots of a step's blocks show; always `blocks` of them, empty ones included, so that
/// the server cannot count. `examples` is the size of the data set, which must have some.
///
/// Examples go to places by a secret permutation of its own for every step, uniform over the places
/// of all blocks: where an example is tells nothing of who else is in the batch. Copy k in place e
/// of a block is in slot k · 2048 / copies + e, as
/// [`clipped_mean_gradient`](sphinx_gradient::BlockPass::clipped_mean_gradient) expects them. The
/// places that are left show decoys, drawn from the whole data set and moved like the others.
///
/// Every place draws the same number of times, taken or not: offsets of one example do not depend
/// on the others, and time does not tell how many there are.
pub(crate) fn blocks(
    batch: &[usize],
    blocks: u64,
    augmentation: Option<Augmentation>,
    examples: usize,
    randomness: &StepRandomness,
    step: u64,
) -> Vec<Vec<Slot>> {
    let copies = copies(augmentation).get();
    let (blocks, stride) = (blocks as usize, SLOTS / copies);
    let mut slots = randomness.of(Purpose::Slots, step);
    let mut offsets = randomness.of(Purpose::Augmentation, step);
    let mut places: Vec<usize> = (0..blocks * stride).collect();
    places.shuffle(&mut slots);
    let mut cut = vec![vec![Slot { view: View::of(0), filled: false }; SLOTS]; blocks];
    for (index, place) in places.into_iter().enumerate() {
        let decoy = slots.random_range(0..examples.max(1));
        let filled = index < batch.len();
        let example = if filled { batch[index] } else { decoy };
        for copy in 0..copies {
            let view = match augmentation {
                Some(augmentation) if copy > 0 => augmentation.moved(example, &mut offsets),
                Some(_) | None => View::of(example),
            };
            cut[place / stride][copy * stride + place % stride] = Slot { view, filled };
        }
    }
    cut
}

/// As [`blocks`] where `batch` holds persons: each takes the slots of a place, and shows his images
/// in some of them. Who has how many images decides about nothing else.
pub(crate) fn person_blocks(
    batch: &[usize],
    blocks: u64,
    persons: &Persons,
    randomness: &StepRandomness,
    step: u64,
) -> Vec<Vec<Slot>> {
    let (blocks, stride) = (blocks as usize, SLOTS / persons.slots().get());
    let mut slots = randomness.of(Purpose::Slots, step);
    let mut images = randomness.of(Purpose::Augmentation, step);
    let mut places: Vec<usize> = (0..blocks * stride).collect();
    places.shuffle(&mut slots);
    let mut cut = vec![vec![Slot { view: View::of(0), filled: false }; SLOTS]; blocks];
    for (index, place) in places.into_iter().enumerate() {
        let decoy = slots.random_range(0..persons.len().max(1));
        let drawn = index < batch.len();
        let shown = persons.draw(if drawn { batch[index] } else { decoy }, &mut images);
        let any = shown.iter().copied().flatten().next().unwrap_or(0);
        for (at, image) in shown.into_iter().enumerate() {
            let (view, filled) = (View::of(image.unwrap_or(any)), drawn && image.is_some());
            cut[place / stride][at * stride + place % stride] = Slot { view, filled };
        }
    }
    cut
}

#[cfg(test)]
mod tests;
