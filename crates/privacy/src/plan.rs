//! From a privacy target and a training schedule to the noise multiplier.

use serde::{Deserialize, Serialize};

use crate::accountant::{Accountant, AccountingError, Segment};
use crate::epsilon::Epsilon;
use crate::overflow::{
    BLOCK_SLOTS, MOST_EXAMPLES, block_capacity, is_negligible, largest_expected_batch,
    overflow_probability, steps as steps_of, total_overflow,
};
use crate::quantity::{Delta, NoiseMultiplier, QuantityError, SamplingRate, Target};
use crate::search::last_within;

/// Noise multipliers tried are multiples of 1 / SIGMA_GRID.
const SIGMA_GRID: f64 = 4096.0;
/// Largest noise multiplier tried; nothing is learnt under such noise.
const MAX_SIGMA: f64 = 4096.0;

/// What is wrong with a request for a plan.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum PlanError {
    /// A quantity out of range.
    #[error(transparent)]
    Quantity(#[from] QuantityError),
    /// The accountant cannot state an ε.
    #[error(transparent)]
    Accounting(#[from] AccountingError),
    /// No example to train on.
    #[error("a data set of no examples cannot be trained on")]
    NoExamples,
    /// More examples than the bounds on overflows are computed for.
    #[error("a data set of {got} examples cannot be planned for: at most {MOST_EXAMPLES}")]
    Examples {
        /// Examples of the data set.
        got: u64,
    },
    /// Batch of nothing, or larger than the data.
    #[error("expected batch size {got} is not in 1 to {examples}, the number of examples")]
    Batch {
        /// Expected batch size asked for.
        got: u64,
        /// Examples of the data set.
        examples: u64,
    },
    /// The batch does not even on average fit in the blocks.
    #[error(
        "an expected batch of {expected} does not fit in {blocks} blocks of {BLOCK_SLOTS} slots{}",
        in_copies(*copies)
    )]
    Blocks {
        /// Expected batch size asked for.
        expected: u64,
        /// Blocks a step sends.
        blocks: u64,
        /// Slots that each example takes.
        copies: u64,
    },
    /// More blocks than the whole data set fills.
    #[error(
        "{got} blocks of {BLOCK_SLOTS} slots{} are more than {most}, in which a batch of all {examples} examples has \
         room to spare: use fewer",
        in_copies(*copies)
    )]
    ManyBlocks {
        /// Blocks a step would send.
        got: u64,
        /// The most that are of use.
        most: u64,
        /// Slots that each example takes.
        copies: u64,
        /// Examples of the data set.
        examples: u64,
    },
    /// Examples in copies do not fill a block.
    #[error(
        "an example cannot take {got} slots of a block: expected 1, or a number of copies that divides \
         {BLOCK_SLOTS}"
    )]
    Copies {
        /// Copies asked for.
        got: u64,
    },
    /// The batch fits on average, but overflows too often.
    #[error(
        "an expected batch of {expected} overflows {blocks} blocks of {BLOCK_SLOTS} slots{} with probability \
         {overflow:.1e} over {steps} steps, more than a hundredth of delta {delta:e}: lower it to {largest}, or \
         use more blocks",
        in_copies(*copies)
    )]
    Overflow {
        /// Expected batch size asked for.
        expected: u64,
        /// Blocks a step sends.
        blocks: u64,
        /// Slots that each example takes.
        copies: u64,
        /// Bound on the probability over the whole training.
        overflow: f64,
        /// Steps of the training.
        steps: u64,
        /// δ asked for.
        delta: f64,
        /// The largest expected batch size that fits.
        largest: u64,
    },
    /// Epochs not a finite positive number.
    #[error("{got} epochs cannot be trained: give a finite positive number")]
    Epochs {
        /// The number offered.
        got: f64,
    },
    /// Even the largest noise does not reach the target.
    #[error(
        "epsilon {epsilon} at delta {delta:e} cannot be reached in {steps} steps, whatever the \
         noise: train fewer epochs or allow more"
    )]
    Unreachable {
        /// ε asked for.
        epsilon: f64,
        /// δ asked for.
        delta: f64,
        /// Steps of the schedule.
        steps: u64,
    },
}

/// What errors add where examples take several slots.
fn in_copies(copies: u64) -> String {
    if copies == 1 { String::new() } else { format!(" in {copies} copies of each example") }
}

/// A training to be planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanRequest {
    /// (ε, δ) not to be exceeded by the proven ε.
    pub target: Target,
    /// Examples of the training set.
    pub examples: u64,
    /// Expected batch size; `None` for the [largest](crate::largest_expected_batch) that the blocks
    /// hold.
    pub expected_batch: Option<u64>,
    /// Padded blocks of [`BLOCK_SLOTS`] sent in every step, whatever the batch drawn.
    pub blocks: u64,
    /// Slots that each example takes, one per augmented copy; 1 without augmentation. Divides
    /// [`BLOCK_SLOTS`].
    pub copies: u64,
    /// Passes over the data in expectation; the last step is completed.
    pub epochs: f64,
}

/// A training whose ε is known before it starts.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PrivacyPlan {
    /// What every step does, and how many there are.
    pub segment: Segment,
    /// Examples of the training set.
    pub examples: u64,
    /// Divisor of the noised sum of gradients.
    pub expected_batch: u64,
    /// Examples that a step has room for; those drawn beyond are dropped.
    pub capacity: u64,
    /// (ε, δ) planned for.
    pub target: Target,
    /// ε of the whole plan at the target's δ.
    pub epsilon: Epsilon,
}

impl PrivacyPlan {
    /// The smallest noise multiplier on a grid of 1/4096 whose proven ε stays within the target,
    /// the probability of overflows included in δ. Takes about 0.1 s.
    ///
    /// # Errors
    /// [`PlanError`] for a batch larger than the data or its blocks, more blocks than the data
    /// fills, examples none or more than 10⁹, no epochs, wrong copies, overflows that use up more
    /// than a hundredth of δ, and a target out of reach.
    pub fn solve(request: &PlanRequest) -> Result<Self, PlanError> {
        let &PlanRequest { target, examples, expected_batch, blocks, copies, epochs } = request;
        if examples == 0 {
            return Err(PlanError::NoExamples);
        }
        if examples > MOST_EXAMPLES {
            return Err(PlanError::Examples { got: examples });
        }
        if !(epochs.is_finite() && epochs > 0.0) {
            return Err(PlanError::Epochs { got: epochs });
        }
        if copies == 0 || !BLOCK_SLOTS.is_multiple_of(copies) {
            return Err(PlanError::Copies { got: copies });
        }
        if blocks == 0 {
            return Err(PlanError::Blocks {
                expected: expected_batch.unwrap_or(1),
                blocks,
                copies,
            });
        }
        let delta = target.delta();
        let capacity = block_capacity(blocks, copies);
        let largest = || largest_expected_batch(examples, capacity, epochs, delta);
        let expected_batch = expected_batch.unwrap_or_else(largest);
        if expected_batch == 0 || expected_batch > examples {
            return Err(PlanError::Batch { got: expected_batch, examples });
        }
        if expected_batch > capacity {
            return Err(PlanError::Blocks { expected: expected_batch, blocks, copies });
        }
        check_blocks(blocks, copies, examples)?;
        let steps = steps_of(epochs, examples, expected_batch);
        let overflow = total_overflow(examples, expected_batch, capacity, epochs)?;
        if !is_negligible(overflow, delta) {
            let (expected, delta, largest) = (expected_batch, delta.get(), largest());
            return Err(PlanError::Overflow {
                expected,
                blocks,
                copies,
                overflow,
                steps,
                delta,
                largest,
            });
        }
        let sampling_rate = SamplingRate::new(expected_batch as f64 / examples as f64)?;
        let segment = |sigma| {
            Ok::<_, PlanError>(Segment {
                sampling_rate,
                noise_multiplier: NoiseMultiplier::new(sigma)?,
                steps,
                overflow_probability: overflow_probability(examples, sampling_rate, capacity),
            })
        };
        let sigma = smallest_sigma(target, steps, segment)?;
        let segment = segment(sigma)?;
        let epsilon = epsilon_of(&segment, target.delta())?;
        Ok(Self { segment, examples, expected_batch, capacity, target, epsilon })
    }

    /// A warning when δ exceeds 1 / examples.
    pub fn warning(&self) -> Option<DeltaWarning> {
        DeltaWarning::check(self.target.delta(), self.examples)
    }
}

/// δ is so large that the guarantee says little.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[error(
    "delta {delta:e} is above 1/{examples}: a mechanism that publishes one example at random \
     satisfies it, so it does not protect every single example; choose a smaller delta"
)]
pub struct DeltaWarning {
    /// δ in use.
    pub delta: f64,
    /// Examples of the data set.
    pub examples: u64,
}

impl DeltaWarning {
    /// The warning, if δ · examples > 1.
    pub fn check(delta: Delta, examples: u64) -> Option<Self> {
        let delta = delta.get();
        (delta * examples as f64 > 1.0).then_some(Self { delta, examples })
    }
}

/// Refuses blocks beyond those of the whole data set and one more: with that, no batch overflows.
///
/// # Errors
/// [`PlanError::Copies`], [`PlanError::ManyBlocks`].
pub fn check_blocks(blocks: u64, copies: u64, examples: u64) -> Result<(), PlanError> {
    let one = block_capacity(1, copies);
    if one == 0 {
        return Err(PlanError::Copies { got: copies });
    }
    let most = examples.div_ceil(one).saturating_add(1);
    if blocks > most {
        return Err(PlanError::ManyBlocks { got: blocks, most, copies, examples });
    }
    Ok(())
}

/// The least noise multiplier on the grid that suffices by either accountant; ε falls as σ grows.
/// Found by Rényi divergences first, which takes least time, and lowered by privacy loss
/// distributions.
fn smallest_sigma(
    target: Target,
    steps: u64,
    segment: impl Fn(f64) -> Result<Segment, PlanError>,
) -> Result<f64, PlanError> {
    let accountant = |index: u64| -> Result<Accountant, PlanError> {
        let mut accountant = Accountant::new();
        accountant.compose(&segment(index as f64 / SIGMA_GRID)?)?;
        Ok(accountant)
    };
    let (mut low, mut high) = (0, SIGMA_GRID as u64);
    while accountant(high)?.excess_by_renyi(target) > 0.0 {
        (low, high) = (high, high * 2);
        if high as f64 / SIGMA_GRID > MAX_SIGMA {
            let (epsilon, delta) = (target.epsilon(), target.delta().get());
            return Err(PlanError::Unreachable { epsilon, delta, steps });
        }
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if accountant(middle)?.excess_by_renyi(target) > 0.0 { low = middle } else { high = middle }
    }
    let excess = |index: u64| {
        accountant(index).map_or(f64::INFINITY, |accountant| accountant.excess_by_loss(target))
    };
    let mut inside = (high, excess(high));
    if inside.1 > 0.0 {
        return Ok(high as f64 / SIGMA_GRID);
    }
    let mut outside = inside;
    while outside.0 > 1 {
        outside.0 -= outside.0.div_ceil(8);
        outside.1 = excess(outside.0);
        if outside.1 > 0.0 {
            break;
        }
        inside = outside;
    }
    Ok(last_within(inside, outside, excess) as f64 / SIGMA_GRID)
}

fn epsilon_of(segment: &Segment, delta: Delta) -> Result<Epsilon, AccountingError> {
    let mut accountant = Accountant::new();
    accountant.compose(segment)?;
    accountant.epsilon(delta)
}
