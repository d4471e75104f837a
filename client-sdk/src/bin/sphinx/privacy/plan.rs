//! `sphinx privacy plan`: solves for the noise and prints the schedule.

use clap::Args;
use serde::Serialize;
use sphinx_privacy::{
    BLOCK_SLOTS, Delta, PlanError, PlanRequest, PrivacyPlan, Target, largest_expected_batch,
};

use crate::defaults;
use crate::error::CliError;
use crate::output::Output;
use crate::recipe::{default_delta, delta, positive};

/// Find the noise that keeps a training within a budget
#[derive(Debug, Args)]
pub struct Plan {
    /// Epsilon not to be exceeded, by the improved conversion
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
    examples: u64,
    epsilon: f64,
    epsilon_classical: f64,
    delta: f64,
    warning: Option<String>,
}

impl Plan {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let delta = self.delta.map_or_else(default_delta, Ok)?;
        let target = Target::new(self.epsilon, delta).map_err(PlanError::from)?;
        let examples = self.examples;
        let epochs = self.epochs;
        let blocks = match (self.blocks, self.batch) {
            (Some(blocks), _) => blocks,
            (None, Some(batch)) => blocks_for(batch, examples, epochs, delta),
            (None, None) => defaults::BLOCKS,
        };
        let request = PlanRequest { target, examples, expected_batch: self.batch, blocks, epochs };
        let plan = PrivacyPlan::solve(&request)?;
        let planned = Planned {
            noise_multiplier: plan.segment.noise_multiplier.get(),
            sampling_rate: plan.segment.sampling_rate.get(),
            steps: plan.segment.steps,
            expected_batch: plan.expected_batch,
            blocks,
            examples,
            epsilon: plan.epsilon.improved,
            epsilon_classical: plan.epsilon.classical,
            delta: delta.get(),
            warning: plan.warning().map(|warning| warning.to_string()),
        };
        output.result(&planned, || text(&planned))
    }
}

/// The fewest blocks that a batch almost never overflows.
fn blocks_for(batch: u64, examples: u64, epochs: f64, delta: Delta) -> u64 {
    // A batch larger than the data is refused by the plan, whatever the blocks.
    let batch = batch.min(examples);
    let fits = |&blocks: &u64| largest_expected_batch(examples, blocks, epochs, delta) >= batch;
    let fewest = batch.div_ceil(BLOCK_SLOTS).max(1);
    (fewest..=examples.div_ceil(BLOCK_SLOTS).max(fewest)).find(fits).unwrap_or(fewest)
}

fn text(plan: &Planned) -> String {
    let mut text = format!(
        "noise multiplier  {:.4}\nsampling rate     {:.6} ({} of {} images expected per step)\n\
         steps             {} of {} blocks of {BLOCK_SLOTS} slots\n\
         epsilon           {:.4} (classical conversion {:.4}) at delta {:e}",
        plan.noise_multiplier,
        plan.sampling_rate,
        plan.expected_batch,
        plan.examples,
        plan.steps,
        plan.blocks,
        plan.epsilon,
        plan.epsilon_classical,
        plan.delta,
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
        let blocks = |batch, examples| blocks_for(batch, examples, 10.0, Delta::new(1e-5).unwrap());
        assert_eq!(blocks(1_700, 60_000), 1);
        assert_eq!(blocks(2_048, 60_000), 2);
        assert_eq!(blocks(500, 500), 1);
        // The whole data set every time does not vary.
        assert_eq!(blocks(60_000, 60_000), 30);
        assert_eq!(blocks(0, 0), 1);
    }
}
