//! What the first stage of a network gets of the examples.

use rayon::prelude::*;
use sphinx_data::{Dataset, DatasetError, pixel};
use sphinx_features::{FeatureError, PublicStem, StemWorker};
use sphinx_gradient::Tensor;
use sphinx_network::Plan;

use crate::error::ClientError;

/// Integers of a kept feature from 0 to the stem's bound.
const LEVELS: f32 = 32_768.0;
/// Most bytes of features that are kept; of more none is, and each is computed when it is wanted.
/// All or none: time must not tell who is in a batch.
const MOST_KEPT: usize = 1_600_000_000;
/// Rows of a tensor filled at once: what a cache line holds of an example's kept features.
const TILE: usize = 32;

/// A data set as a network sees it: its pixels, or the features of the network's public stem, which
/// are computed once for all examples, in parallel, and kept in 16 bits each (476 MB for 60 000
/// examples of 3969 features), if that is no more than 1.6 GB.
///
/// The grid of kept features is 2^-15 of the stem's bound, half of what training encodes them with.
pub struct Inputs<'a> {
    data: &'a Dataset,
    stem: PublicStem,
    /// `[example][feature]`; empty without a stem, and where they would be too many.
    features: Vec<i16>,
    /// What one integer of `features` stands for.
    unit: f32,
}

/// An example as it is shown to the network. `Debug` is left out: who is in a batch is secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct View {
    /// Number of the example in the data set.
    pub example: usize,
    /// Pixels by which the image is moved to the right; black comes in from the left.
    pub dx: i8,
    /// Pixels by which the image is moved down; black comes in from above.
    pub dy: i8,
}

/// One slot of a block. `Debug` is left out: who is in a batch is secret.
///
/// A slot without an example still has a view, a decoy, which is computed like any other and then
/// replaced by zeros, so that time does not tell how many examples are in a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot {
    /// What is computed for the slot.
    pub view: View,
    /// Whether it is shown to the network.
    pub filled: bool,
}

/// Where one slot of a tensor comes from.
enum Source<'a> {
    Kept(&'a [i16]),
    Made(Vec<f32>),
}

impl Slot {
    /// `value`, or zero in a slot without an example. Without a branch.
    fn shown(self, value: f32) -> f32 {
        f32::from_bits(value.to_bits() & u32::from(self.filled).wrapping_neg())
    }
}

impl View {
    /// An example as it is.
    pub fn of(example: usize) -> Self {
        Self { example, dx: 0, dy: 0 }
    }
}

impl<'a> Inputs<'a> {
    /// Computes the features of all examples: about 0.2 ms each and thread with `scatter-linear`,
    /// nothing without a stem.
    ///
    /// # Errors
    /// [`FeatureError::ImageLength`] if the images have another size than the network's input.
    pub fn new(plan: &Plan, data: &'a Dataset) -> Result<Self, ClientError> {
        Self::keeping(plan, data, MOST_KEPT)
    }

    fn keeping(plan: &Plan, data: &'a Dataset, most: usize) -> Result<Self, ClientError> {
        let stem = PublicStem::new(plan)?;
        let (got, expected) = (data.shape().len(), plan.input.len());
        if got != expected {
            return Err(FeatureError::ImageLength { got, expected }.into());
        }
        let unit = plan.stem.bound() / LEVELS;
        let mut inputs = Self { data, stem, features: Vec::new(), unit };
        let size = inputs.stem.outputs();
        let bytes = size.saturating_mul(data.len()).saturating_mul(size_of::<i16>());
        if !inputs.stem.is_empty() && bytes <= most {
            let mut features = vec![0; size * data.len()];
            let rows = features.par_chunks_exact_mut(size).enumerate();
            rows.try_for_each_init(
                || inputs.stem.worker(),
                |worker, (example, row)| -> Result<(), ClientError> {
                    let values = worker.apply(&inputs.pixels(View::of(example))?)?;
                    for (kept, value) in row.iter_mut().zip(values) {
                        *kept = inputs.kept(value);
                    }
                    Ok(())
                },
            )?;
            inputs.features = features;
        }
        Ok(inputs)
    }

    /// The data set.
    pub fn data(&self) -> &'a Dataset {
        self.data
    }

    /// Number of scalars that the network gets of an example.
    pub fn scalars(&self) -> usize {
        self.stem.outputs()
    }

    /// What the network gets of one example.
    ///
    /// # Errors
    /// [`DatasetError::ImageIndex`].
    pub fn example(&self, view: View) -> Result<Vec<f32>, ClientError> {
        Ok(match self.source(view, &mut self.stem.worker())? {
            Source::Kept(features) => features.iter().map(|&kept| self.value(kept)).collect(),
            Source::Made(values) => values,
        })
    }

    /// A block of examples in batch-axis order; zeros in slots that are not filled.
    ///
    /// Examples that are moved are computed anew from their pixels.
    ///
    /// # Errors
    /// [`DatasetError::ImageIndex`], for decoys too; [`crate::TrainingError::Tensor`] for a number
    /// of slots that is no tensor's.
    pub(crate) fn tensor(&self, slots: &[Slot]) -> Result<Tensor, ClientError> {
        let count = slots.len();
        let plain = |slot: &Slot| slot.view == View::of(slot.view.example);
        if self.stem.is_empty() && slots.iter().all(plain) {
            let indices: Vec<usize> = slots.iter().map(|slot| slot.view.example).collect();
            let pixels = self.data.tensor(&indices, count)?;
            let mut tensor = Tensor::new(self.scalars(), count, pixels)?;
            tensor.as_mut_slice().par_chunks_mut(count).for_each(|row| {
                row.iter_mut().zip(slots).for_each(|(value, slot)| *value = slot.shown(*value));
            });
            return Ok(tensor);
        }
        let mut tensor = Tensor::zeros(self.scalars(), count)?;
        let sources = slots
            .par_iter()
            .map_init(|| self.stem.worker(), |worker, slot| self.source(slot.view, worker))
            .collect::<Result<Vec<_>, _>>()?;
        let tiles = tensor.as_mut_slice().par_chunks_mut(TILE * count).enumerate();
        tiles.for_each(|(tile, rows)| {
            for (at, (slot, source)) in slots.iter().zip(&sources).enumerate() {
                let targets = rows[at..].iter_mut().step_by(count);
                match source {
                    Source::Kept(features) => {
                        let features = &features[tile * TILE..];
                        targets
                            .zip(features)
                            .for_each(|(target, &kept)| *target = slot.shown(self.value(kept)));
                    }
                    Source::Made(values) => {
                        let values = &values[tile * TILE..];
                        targets
                            .zip(values)
                            .for_each(|(target, &value)| *target = slot.shown(value));
                    }
                }
            }
        });
        Ok(tensor)
    }

    /// The label of a slot, `None` in one without an example. It is looked up in any case.
    pub(crate) fn label(&self, slot: Slot) -> Option<u8> {
        self.data.labels().get(slot.view.example).copied().filter(|_| slot.filled)
    }

    fn source(&self, view: View, worker: &mut StemWorker<'_>) -> Result<Source<'_>, ClientError> {
        let size = self.stem.outputs();
        if !self.features.is_empty() && view == View::of(view.example) {
            let start = view.example.saturating_mul(size);
            let kept = self.features.get(start..start.saturating_add(size));
            let (got, len) = (view.example, self.data.len());
            let kept = kept.ok_or(DatasetError::ImageIndex { got, len })?;
            return Ok(Source::Kept(kept));
        }
        let mut values = worker.apply(&self.pixels(view)?)?;
        if !self.stem.is_empty() {
            values.iter_mut().for_each(|value| *value = self.value(self.kept(*value)));
        }
        Ok(Source::Made(values))
    }

    /// The pixels of a view in [0, 1].
    fn pixels(&self, View { example, dx, dy }: View) -> Result<Vec<f32>, DatasetError> {
        let (got, len) = (example, self.data.len());
        let levels = self.data.levels(example).ok_or(DatasetError::ImageIndex { got, len })?;
        let shape = self.data.shape();
        let moved = |at: usize, by: i8, side: usize| {
            at.checked_add_signed(-isize::from(by)).filter(|&from| from < side)
        };
        let mut pixels = Vec::with_capacity(levels.len());
        for channel in levels.chunks_exact((shape.height * shape.width).max(1)) {
            for y in 0..shape.height {
                let row = moved(y, dy, shape.height);
                let row = row.map(|y| &channel[y * shape.width..][..shape.width]);
                pixels.extend((0..shape.width).map(|x| {
                    let level = row.zip(moved(x, dx, shape.width)).map(|(row, x)| row[x]);
                    level.map_or(0.0, pixel)
                }));
            }
        }
        Ok(pixels)
    }

    fn kept(&self, value: f32) -> i16 {
        // Beyond the range of i16, `as` takes its ends.
        (value / self.unit).round() as i16
    }

    fn value(&self, kept: i16) -> f32 {
        let (low, high) = self.stem.range();
        (f32::from(kept) * self.unit).clamp(low, high)
    }
}

/// Sizes only: the contents are private.
impl std::fmt::Debug for Inputs<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inputs")
            .field("examples", &self.data.len())
            .field("scalars", &self.scalars())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
