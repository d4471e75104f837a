//! `sphinx privacy cap` and `sphinx privacy public`: what holds for a data set, whichever model is
//! trained on it.

use clap::Args;
use serde::Serialize;
use sphinx_client::workspace::Home;
use sphinx_privacy::{Delta, PlanError, Target};

use crate::config::Config;
use crate::data::DataArgs;
use crate::error::CliError;
use crate::output::Output;
use crate::train::flags::{default_delta, delta, positive};

/// Set what all trainings on the images of a data set may spend together
#[derive(Debug, Args)]
pub struct Cap {
    /// A name from `sphinx privacy data`, or a set to be known by its name: mnist, or a directory
    #[arg(value_name = "DATA")]
    set: String,
    /// Epsilon not to be exceeded by any image of the set
    #[arg(long, value_name = "EPSILON", value_parser = positive::<f64>, required_unless_present = "none")]
    epsilon: Option<f64>,
    /// Delta of the cap [default: 1e-5]
    #[arg(long, value_name = "DELTA", value_parser = delta)]
    delta: Option<Delta>,
    /// Take the cap away
    #[arg(long, conflicts_with_all = ["epsilon", "delta"])]
    none: bool,
}

/// Declare the images of a data set as public: they spend nothing
#[derive(Debug, Args)]
pub struct Public {
    /// A name from `sphinx privacy data`, or a set to be known by its name: mnist, or a directory
    #[arg(value_name = "DATA")]
    set: String,
    /// Take it back: what they have spent meanwhile counts
    #[arg(long)]
    undo: bool,
}

#[derive(Debug, Serialize)]
struct Capped {
    name: String,
    cap: Option<f64>,
    delta: Option<f64>,
}

#[derive(Debug, Serialize)]
struct Published {
    name: String,
    public: bool,
}

impl Cap {
    pub fn run(&self, config: &Config, output: Output) -> Result<(), CliError> {
        let home = Home::new(config.home()?);
        let delta = self.delta.map_or_else(default_delta, Ok)?;
        let cap = self.epsilon.filter(|_| !self.none);
        let cap = cap.map(|epsilon| Target::new(epsilon, delta)).transpose();
        let cap = cap.map_err(PlanError::from)?;
        let name = known(&home, &self.set, delta)?;
        home.cap_data(&name, cap)?;
        let delta = cap.map(|cap| cap.delta().get());
        let capped = Capped { name, cap: cap.map(Target::epsilon), delta };
        output.result(&capped, || match cap {
            Some(cap) => format!(
                "data set {}: all trainings together keep within ε = {} at δ = {:e}",
                capped.name,
                cap.epsilon(),
                cap.delta().get()
            ),
            None => format!("data set {}: no cap", capped.name),
        })
    }
}

impl Public {
    pub fn run(&self, config: &Config, output: Output) -> Result<(), CliError> {
        let home = Home::new(config.home()?);
        let name = known(&home, &self.set, default_delta()?)?;
        home.publish_data(&name, !self.undo)?;
        let published = Published { name, public: !self.undo };
        output.result(&published, || {
            let Published { name, public } = &published;
            if *public {
                format!("data set {name}: its images are public now and spend nothing")
            } else {
                format!("data set {name}: its images are not public")
            }
        })
    }
}

/// The name of a set, which is made known if it is not and can be found.
fn known(home: &Home, set: &str, delta: Delta) -> Result<String, CliError> {
    if home.data_sets(delta)?.iter().any(|status| status.name == set) {
        return Ok(set.to_owned());
    }
    match DataArgs::called(set) {
        Some(data) => {
            let name = data.name();
            home.register_data(&name, &data.load()?.train)?;
            Ok(name)
        }
        // The ledger says which there are.
        None => Ok(set.to_owned()),
    }
}
