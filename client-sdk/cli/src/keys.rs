//! `sphinx keys`: make, register and list keys.

mod list;
mod new;
mod register;
mod remove;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a secret key on this machine
    New(new::New),
    /// Register the public part of a key, so that the services accept it
    Register(register::Register),
    /// Show one key: whole fingerprints, here and in the key vault
    Show(show::Show),
    /// Remove evaluation keys from the key vault, so that nothing more is computed with them
    Remove(remove::Remove),
    /// List the keys here and in the key vault, side by side
    List(list::List),
}

impl Keys {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::New(new) => new.run(context),
            Self::Register(register) => register.run(context).await,
            Self::Show(show) => show.run(context).await,
            Self::Remove(remove) => remove.run(context).await,
            Self::List(list) => list.run(context).await,
        }
    }
}
