//! `sphinx privacy show`: what a model's training has spent, on what, and what is left.

use clap::Args;
use serde::Serialize;
use sphinx_client::ModelId;
use sphinx_client::workspace::Home;
use sphinx_privacy::ledger::{Charge, Ledger, Run};
use sphinx_privacy::{PlanError, Segment, Target};

use crate::config::Config;
use crate::defaults;
use crate::epsilon::{self, EpsilonFields, NONE_PROVEN};
use crate::error::CliError;
use crate::output::{Output, table};
use crate::train::flags::positive;

/// Show what a model's training has spent, on what, and what is left
#[derive(Debug, Args)]
pub struct Show {
    /// The model
    model: String,
    /// Epsilon not to be exceeded, for what is left [default: the one that the model was last
    /// trained within, or 3]
    #[arg(long, value_name = "EPSILON", value_parser = positive::<f64>)]
    epsilon: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Shown {
    model: String,
    examples: u64,
    steps: u64,
    #[serde(flatten)]
    bounds: EpsilonFields,
    /// Why there is no ε, if there is none.
    epsilon_note: Option<&'static str>,
    delta: f64,
    budget: f64,
    epsilon_left: Option<f64>,
    /// Steps like the last ones that the budget allows.
    steps_left: Option<u64>,
    /// An update is recorded whose arrival was not confirmed; the next training sends it again.
    unconfirmed: bool,
    runs: Vec<Spent>,
}

#[derive(Debug, Serialize)]
struct Spent {
    steps: u64,
    sampling_rate: Option<f64>,
    noise_multiplier: Option<f64>,
    clipping_norm: Option<f64>,
}

impl Show {
    pub fn run(&self, config: &Config, output: Output) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let path = Home::new(config.home()?).ledger(&config.endpoints()?.tenant, &model_id);
        let ledger = Ledger::open_model(&path, model_id.as_str())?;
        let delta = ledger.binding().delta;
        let kept = ledger.target().map(Target::epsilon);
        let budget = self.epsilon.or(kept).unwrap_or(defaults::EPSILON);
        let target = Target::new(budget, delta).map_err(PlanError::from)?;
        let spent = ledger.spent(delta).ok();
        let steps_left = match ledger.runs().last().and_then(|run| segment(run.charge)) {
            Some(segment) if spent.is_some() => Some(ledger.remaining(&segment, target)?),
            Some(_) | None => None,
        };
        let shown = Shown {
            model: model_id.to_string(),
            examples: ledger.binding().examples,
            steps: ledger.runs().iter().map(|run| run.steps).sum(),
            bounds: spent.into(),
            epsilon_note: spent.is_none().then_some(NONE_PROVEN),
            delta: delta.get(),
            budget,
            epsilon_left: spent.map(|spent| (budget - spent.proven()).max(0.0)),
            steps_left,
            unconfirmed: ledger.pending().is_some(),
            runs: ledger.runs().iter().map(Spent::from).collect(),
        };
        output.result(&shown, || {
            let spent = epsilon::text(spent, delta);
            text(&shown, &spent)
        })
    }
}

impl From<&Run> for Spent {
    fn from(run: &Run) -> Self {
        let (sampling_rate, noise_multiplier, clipping_norm) = match run.charge {
            Charge::Gaussian { sampling_rate, noise_multiplier, clipping_norm, .. } => {
                (Some(sampling_rate.get()), Some(noise_multiplier.get()), Some(clipping_norm))
            }
            Charge::Unproven | Charge::PostProcessing => (None, None, None),
        };
        Self { steps: run.steps, sampling_rate, noise_multiplier, clipping_norm }
    }
}

/// One step of the kind that a charge records.
fn segment(charge: Charge) -> Option<Segment> {
    match charge {
        Charge::Gaussian { sampling_rate, noise_multiplier, overflow_probability, .. } => {
            Some(Segment { sampling_rate, noise_multiplier, steps: 1, overflow_probability })
        }
        Charge::Unproven | Charge::PostProcessing => None,
    }
}

fn text(shown: &Shown, spent: &str) -> String {
    let Shown { model, examples, steps, budget, .. } = shown;
    let mut text = format!("model {model}: {steps} steps on {examples} examples\nspent  {spent}\n");
    if let Some(left) = shown.epsilon_left {
        text += &format!("left   {left:.3} of a budget of {budget}");
        if let Some(steps) = shown.steps_left {
            text += &format!(", that is {steps} more steps like the last");
        }
        text.push('\n');
    }
    if shown.unconfirmed {
        text += "One update was recorded and its arrival not confirmed; the next training sends it again.\n";
    }
    let number =
        |value: Option<f64>| value.map_or_else(|| "none".to_owned(), |v| format!("{v:.5}"));
    let rows = shown.runs.iter().map(|run| {
        let Spent { steps, sampling_rate, noise_multiplier, clipping_norm } = run;
        let [rate, noise, norm] =
            [sampling_rate, noise_multiplier, clipping_norm].map(|v| number(*v));
        [steps.to_string(), rate, noise, norm]
    });
    if !shown.runs.is_empty() {
        text.push('\n');
        text += &table(["STEPS", "SAMPLING RATE", "NOISE MULTIPLIER", "CLIPPING NORM"], rows);
    }
    text
}
