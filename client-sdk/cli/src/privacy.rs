//! `sphinx privacy`: plan and account for differential privacy. Asks no service.

mod account;
mod cap;
mod data;
mod plan;
mod show;

use clap::Subcommand;

use crate::config::Config;
use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Privacy {
    /// Find the noise that keeps a training within a budget
    Plan(plan::Plan),
    /// State the budget that a training with known noise spends
    Account(account::Account),
    /// Show what a model's training has spent, on what, and what is left
    Show(show::Show),
    /// Show what all models together have spent of every data set
    Data(data::Data),
    /// Set what all trainings on the images of a data set may spend together
    Cap(cap::Cap),
    /// Declare the images of a data set as public: they spend nothing
    Public(cap::Public),
}

impl Privacy {
    pub fn run(&self, config: &Config, output: Output) -> Result<(), CliError> {
        match self {
            Self::Plan(plan) => plan.run(output),
            Self::Account(account) => account.run(output),
            Self::Show(show) => show.run(config, output),
            Self::Data(data) => data.run(config, output),
            Self::Cap(cap) => cap.run(config, output),
            Self::Public(public) => public.run(config, output),
        }
    }
}
