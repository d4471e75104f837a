//! `sphinx models`: list, show, delete and export models.

mod delete;
mod export;
mod list;
mod show;

use clap::Subcommand;

use crate::error::CliError;
use crate::session::Session;

#[derive(Debug, Subcommand)]
pub enum Models {
    /// List the models
    List,
    /// Show a model's network and what is known about it
    Show(show::Show),
    /// Delete a model with all its versions
    Delete(delete::Delete),
    /// Bring a model's weights and biases home
    Export(export::Export),
}

impl Models {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        match self {
            Self::List => list::run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Delete(delete) => delete.run(session).await,
            Self::Export(export) => export.run(session).await,
        }
    }
}
