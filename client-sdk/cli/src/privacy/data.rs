//! `sphinx privacy data`: what all models together have spent of every data set.

use clap::Args;
use serde::Serialize;
use sphinx_client::workspace::Home;
use sphinx_privacy::data::{DataStatus, ModelShare};
use sphinx_privacy::ledger::PrivacyUnit;
use sphinx_privacy::{Delta, Target};

use crate::config::Config;
use crate::epsilon::{self, EpsilonFields, NONE_PROVEN};
use crate::error::CliError;
use crate::output::{Output, table};
use crate::train::flags::{default_delta, delta};

/// Show what all models together have spent of every data set
#[derive(Debug, Args)]
pub struct Data {
    /// Delta at which epsilon is stated for sets without a cap [default: 1e-5]
    #[arg(long, value_name = "DELTA", value_parser = delta)]
    delta: Option<Delta>,
}

#[derive(Debug, Serialize)]
struct Listed {
    name: String,
    /// What is protected: `image` or `person`.
    unit: &'static str,
    images: u64,
    /// Different images, or persons.
    units: u64,
    /// All of them were declared public.
    public: bool,
    /// Most occurrences of one image.
    repeated: u32,
    models: Vec<Share>,
    #[serde(flatten)]
    bounds: EpsilonFields,
    /// Why there is no ε, if there is none.
    epsilon_note: Option<String>,
    delta: f64,
    cap: Option<f64>,
    left: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Share {
    tenant: String,
    model: String,
    deleted: bool,
    steps: u64,
    /// Steps that a training that goes on may make; they count.
    reserved: u64,
}

impl Data {
    pub fn run(&self, config: &Config, output: Output) -> Result<(), CliError> {
        let delta = self.delta.map_or_else(default_delta, Ok)?;
        let sets = Home::new(config.home()?).data_sets(delta)?;
        let listed: Vec<Listed> = sets.iter().map(Listed::from).collect();
        output.result(&listed, || text(&sets))
    }
}

impl From<&DataStatus> for Listed {
    fn from(status: &DataStatus) -> Self {
        let unit = match status.unit {
            PrivacyUnit::Example => "image",
            PrivacyUnit::Person => "person",
        };
        Self {
            name: status.name.clone(),
            unit,
            images: status.examples,
            units: status.units,
            public: status.private == 0,
            repeated: status.repeated,
            models: status.models.iter().map(Share::from).collect(),
            bounds: status.spent.as_ref().ok().copied().into(),
            epsilon_note: status.spent.as_ref().err().map(ToString::to_string),
            delta: status.delta.get(),
            cap: status.cap.map(Target::epsilon),
            left: status.left(),
        }
    }
}

impl From<&ModelShare> for Share {
    fn from(share: &ModelShare) -> Self {
        let ModelShare { tenant, model, deleted, steps, reserved } = share.clone();
        Self { tenant, model, deleted, steps, reserved }
    }
}

fn text(sets: &[DataStatus]) -> String {
    if sets.is_empty() {
        return "nothing was trained on here yet".to_owned();
    }
    let mut lines = Vec::new();
    for status in sets {
        let DataStatus { name, examples, units, private, repeated, delta, .. } = status;
        let persons = match status.unit {
            PrivacyUnit::Example => String::new(),
            PrivacyUnit::Person => format!(" of {units} persons"),
        };
        lines.push(format!("data set {name}: {examples} images{persons}"));
        lines.push(match &status.spent {
            _ if *private == 0 => "spent  nothing: declared public".to_owned(),
            Ok(spent) => format!("spent  {}", epsilon::text(Some(*spent), *delta)),
            Err(_) => format!("spent  ε {NONE_PROVEN}"),
        });
        if *private > 0 && private < units {
            lines.push(format!("       by the {private} of them that are not public"));
        }
        if *repeated > 1 {
            lines.push(format!("       by an image that is there {repeated} times"));
        }
        if let Some((cap, left)) = status.cap.zip(status.left()) {
            lines.push(format!("left   {left:.3} of a cap of {}", cap.epsilon()));
        }
        let rows = status.models.iter().map(|share| {
            let ModelShare { tenant, model, deleted, steps, reserved } = share;
            let state = match (deleted, reserved) {
                (true, _) => "deleted".to_owned(),
                (false, 0) => String::new(),
                (false, reserved) => format!("training, {reserved} reserved"),
            };
            [format!("{tenant}/{model}"), steps.to_string(), state]
        });
        if !status.models.is_empty() {
            lines.push(table(["MODEL", "STEPS", ""], rows));
        }
        lines.push(String::new());
    }
    lines.join("\n")
}
