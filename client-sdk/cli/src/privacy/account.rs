//! `sphinx privacy account`: the budget that a training with known noise spends.

use clap::Args;
use serde::Serialize;
use sphinx_privacy::{Accountant, Delta, NoiseMultiplier, SamplingRate, Segment};

use crate::epsilon::{self, EpsilonFields};
use crate::error::CliError;
use crate::output::Output;
use crate::train::flags::{default_delta, delta};

/// State the budget that a training with known noise spends
#[derive(Debug, Args)]
pub struct Account {
    /// Probability of each image to enter a step's batch
    #[arg(long, value_name = "Q", value_parser = sampling_rate)]
    sampling_rate: SamplingRate,
    /// Standard deviation of the noise over the clipping norm
    #[arg(long, value_name = "SIGMA", value_parser = noise_multiplier)]
    noise_multiplier: NoiseMultiplier,
    /// Steps
    #[arg(long, value_name = "T")]
    steps: u64,
    /// Delta [default: 1e-5]
    #[arg(long, value_name = "DELTA", value_parser = delta)]
    delta: Option<Delta>,
}

#[derive(Debug, Serialize)]
struct Accounted {
    #[serde(flatten)]
    bounds: EpsilonFields,
    /// Why there is no ε by privacy loss distributions, if there is none.
    epsilon_pld_note: Option<String>,
}

impl Account {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let delta = self.delta.map_or_else(default_delta, Ok)?;
        let mut accountant = Accountant::new();
        accountant.compose(&Segment {
            sampling_rate: self.sampling_rate,
            noise_multiplier: self.noise_multiplier,
            steps: self.steps,
            overflow_probability: 0.0,
        })?;
        let bounds = Some(accountant.epsilon(delta)?);
        let missing = bounds.filter(|bounds| bounds.pld.is_none());
        let note = missing.and_then(|_| accountant.epsilon_by_loss(delta).err());
        let accounted = Accounted {
            bounds: bounds.into(),
            epsilon_pld_note: note.map(|error| error.to_string()),
        };
        output.result(&accounted, || match &accounted.epsilon_pld_note {
            Some(note) => format!("{}\n{note}", epsilon::text(bounds, delta)),
            None => epsilon::text(bounds, delta),
        })
    }
}

fn sampling_rate(text: &str) -> Result<SamplingRate, String> {
    SamplingRate::new(number(text)?).map_err(|error| error.to_string())
}

fn noise_multiplier(text: &str) -> Result<NoiseMultiplier, String> {
    NoiseMultiplier::new(number(text)?).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "expected a number".to_owned())
}
