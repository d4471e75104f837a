//! `sphinx privacy plan`: solves for the noise and prints the schedule.

use clap::Args;
use serde::Serialize;
use sphinx_privacy::{
    BLOCK_SLOTS, Delta, PlanError, PlanRequest, PrivacyPlan, Target, block_capacity,
    largest_expected_batch,
};

use crate::defaults;
use crate::epsilon::{self, EpsilonFields};
use crate::error::CliError;
use crate::output::Output;
use crate::train::flags::{copies, default_delta, delta, positive};

/// Find the noise that keeps a training within a budget
#[derive(Debug, Args)]
pub struct Plan {
    /// Epsilon not to be exceeded, by the best proven bound
    #[arg(long, value_name = "EPSILON", value_parser = positive::<f64>, default_value_t = defaults::EPSILON)]
    epsilon: f64,
    /// Delta it is stated for [default: 1e-5]
    #[arg(long, value_name = "DELTA", value_parser = delta)]
    delta: Option<Delta>,
    /// Images of the training set
    #[arg(long, value_name = "N", default_value_t = 60_000)]
    examples: u64,
    /// Expected batch size [default: the most that almost never overflows the blocks]
    #[arg(long, value_name = "B")]
    batch: Option<u64>,
    /// Blocks of 2048 slots per step [default: 1, or the fewest that hold the batch]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    blocks: Option<u64>,
    /// Copies of each image in a step, as by sphinx train --augment
    #[arg(long, value_name = "K", value_parser = copies, default_value_t = 1)]
    augment: u64,
    /// Passes over the data
    #[arg(long, value_name = "E", value_parser = positive::<f64>, default_value_t = defaults::EPOCHS)]
    epochs: f64,
}

#[derive(Debug, Serialize)]
struct Planned {
    noise_multiplier: f64,
    sampling_rate: f64,
    steps: u64,
    expected_batch: u64,
    blocks: u64,
    /// Of each image.
    copies: u64,
    examples: u64,
    #[serde(flatten)]
    bounds: EpsilonFields,
    delta: f64,
    warning: Option<String>,
}

impl Plan {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let delta = self.delta.map_or_else(default_delta, Ok)?;
        let target = Target::new(self.epsilon, delta).map_err(PlanError::from)?;
        let examples = self.examples;
        let (epochs, copies) = (self.epochs, self.augment);
        let blocks = match (self.blocks, self.batch) {
            (Some(blocks), _) => blocks,
            (None, Some(batch)) => blocks_for(batch, copies, examples, epochs, delta),
            (None, None) => defaults::BLOCKS,
        };
        let expected_batch = self.batch;
        let request = PlanRequest { target, examples, expected_batch, blocks, copies, epochs };
        let plan = PrivacyPlan::solve(&request)?;
        let planned = Planned {
            noise_multiplier: plan.segment.noise_multiplier.get(),
            sampling_rate: plan.segment.sampling_rate.get(),
            steps: plan.segment.steps,
            expected_batch: plan.expected_batch,
            blocks,
            copies,
            examples,
            bounds: Some(plan.epsilon).into(),
            delta: delta.get(),
            warning: plan.warning().map(|warning| warning.to_string()),
        };
        output.result(&planned, || text(&planned, &epsilon::text(Some(plan.epsilon), delta)))
    }
}

/// The fewest blocks that a batch almost never overflows.
fn blocks_for(batch: u64, copies: u64, examples: u64, epochs: f64, delta: Delta) -> u64 {
    // A batch larger than the data is refused by the plan, whatever the blocks.
    let batch = batch.min(examples);
    let fits = |blocks: u64| {
        let capacity = block_capacity(blocks, copies);
        largest_expected_batch(examples, capacity, epochs, delta) >= batch
    };
    let one = block_capacity(1, copies).max(1);
    let fewest = batch.div_ceil(one).max(1);
    if fits(fewest) {
        return fewest;
    }
    // The more blocks, the larger the batches that fit; those of the whole data set and one more
    // hold any.
    let (mut few, mut enough) = (fewest, examples.div_ceil(one).saturating_add(1));
    while enough.saturating_sub(few) > 1 {
        let middle = few + (enough - few) / 2;
        if fits(middle) { enough = middle } else { few = middle }
    }
    enough
}

fn text(plan: &Planned, epsilon: &str) -> String {
    let copies = match plan.copies {
        1 => String::new(),
        copies => format!(", {copies} for each image"),
    };
    let mut text = format!(
        "noise multiplier  {:.4}\nsampling rate     {:.6} ({} of {} images expected per step)\n\
         steps             {} of {} blocks of {BLOCK_SLOTS} slots{}\n\
         privacy           {epsilon}",
        plan.noise_multiplier,
        plan.sampling_rate,
        plan.expected_batch,
        plan.examples,
        plan.steps,
        plan.blocks,
        copies,
    );
    if let Some(warning) = &plan.warning {
        text += &format!("\nwarning: {warning}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_leave_room_for_batches_that_vary() {
        let delta = Delta::new(1e-5).unwrap();
        let blocks = |batch, examples| blocks_for(batch, 1, examples, 10.0, delta);
        assert_eq!(blocks(1_700, 60_000), 1);
        assert_eq!(blocks(2_048, 60_000), 2);
        assert_eq!(blocks(500, 500), 1);
        // The whole data set every time does not vary.
        assert_eq!(blocks(60_000, 60_000), 30);
        assert_eq!(blocks(0, 0), 1);
        // In a moment, however many there are.
        assert!((244_150..244_300).contains(&blocks(500_000_000, 1_000_000_000)));
        // Twice the slots for each.
        assert_eq!(blocks_for(1_700, 2, 60_000, 10.0, delta), 2);
        assert_eq!(blocks_for(500, 16, 500, 10.0, delta), 4);
    }
}
