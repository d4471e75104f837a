//! `sphinx models`: list, show, watch, delete, export and bundle models, and those that are
//! suspect.

mod bundle;
mod delete;
mod export;
mod list;
mod show;
mod suspect;
mod watch;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Subcommand)]
pub enum Models {
    /// List the models
    List,
    /// Show a model's network and what is known about it
    Show(show::Show),
    /// Show the versions that are kept of a model
    History(watch::History),
    /// Print the versions of a model as they come
    Watch(watch::Watch),
    /// Delete a model with all its versions
    Delete(delete::Delete),
    /// Bring a model's weights and biases home
    Export(export::Export),
    /// Write a model to a file for `sphinx evaluate-once`: weights, and biases under encryption
    Bundle(bundle::Bundle),
    /// Show which models are suspect and why, or clear a mark deliberately
    Suspect(suspect::Suspects),
}

impl Models {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::List => list::run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::History(history) => history.run(context).await,
            Self::Watch(watch) => watch.run(context).await,
            Self::Delete(delete) => delete.run(context).await,
            Self::Export(export) => export.run(context).await,
            Self::Bundle(bundle) => bundle.run(context).await,
            Self::Suspect(suspects) => suspects.run(context),
        }
    }
}
