//! `sphinx keys`: make, register and list keys.

mod list;
mod new;
mod register;
mod remove;
mod show;

use clap::Subcommand;

use crate::error::CliError;
use crate::session::Session;

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
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        match self {
            Self::New(new) => new.run(session),
            Self::Register(register) => register.run(session).await,
            Self::Show(show) => show.run(session).await,
            Self::Remove(remove) => remove.run(session).await,
            Self::List(list) => list.run(session).await,
        }
    }
}
