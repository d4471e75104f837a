//! `sphinx recipes`: trainings written down, and what came of them.

mod list;
mod outcome;
mod run;
mod search;
mod show;

use clap::Subcommand;

pub use list::accuracy;

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::Output;

/// Trainings that can be repeated, each with its published result
#[derive(Debug, Subcommand)]
pub enum Recipes {
    /// List the built-in recipes
    List,
    /// Show a recipe
    Show(show::Show),
    /// Train and test a recipe with each of its seeds, on services of its own
    Run(run::Run),
    /// Try the settings of a grid on a part of the training images, in the clear
    Search(search::Search),
}

impl Recipes {
    pub async fn run(&self, output: Output, interrupt: &Interrupt) -> Result<(), CliError> {
        match self {
            Self::List => list::run(output),
            Self::Show(show) => show.run(output),
            Self::Search(search) => search.run(output, interrupt),
            Self::Run(run) => Box::pin(run.run(output, interrupt)).await,
        }
    }
}
