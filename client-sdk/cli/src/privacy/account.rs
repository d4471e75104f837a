//! `sphinx privacy account`: the budget that a training with known noise spends.

use clap::Args;
use serde::Serialize;
use sphinx_privacy::{Accountant, Delta, NoiseMultiplier, SamplingRate, Segment};

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
    epsilon: f64,
    epsilon_classical: f64,
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
        let epsilon = accountant.epsilon(delta)?;
        let accounted =
            Accounted { epsilon: epsilon.improved, epsilon_classical: epsilon.classical };
        output.result(&accounted, || crate::numbers::epsilon(Some(epsilon), delta))
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
