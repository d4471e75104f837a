//! `sphinx keys`: make, register, list, rotate and revoke keys.

mod backup;
mod export_read;
mod import_read;
mod list;
mod new;
mod passphrase;
mod register;
mod remove;
mod restore;
mod revoke;
mod rotate;
mod show;

use clap::Subcommand;

use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Subcommand)]
pub enum Keys {
    /// Make a key on this machine
    New(new::New),
    /// Register the identity of a key, so that the services accept it
    Register(register::Register),
    /// Show one key: whole fingerprints, here and in the key vault
    Show(show::Show),
    /// Remove evaluation keys from the key vault, so that nothing more is computed with them
    Remove(remove::Remove),
    /// Revoke a key, for good: nothing more is served under it
    Revoke(revoke::Revoke),
    /// Write the read key of a model to a file, for a device or a colleague who only predicts
    ExportRead(export_read::ExportRead),
    /// Keep the read key of a model that its owner exported, to recognise with it here
    ImportRead(import_read::ImportRead),
    /// Give a model another key, without training it again
    Rotate(rotate::Rotate),
    /// Seal a key by a passphrase, change it, or take it away
    Passphrase(passphrase::Passphrase),
    /// Write keys, ledgers and what this home remembers to one file, to go on from after a loss
    Backup(backup::Backup),
    /// Put back what a backup holds
    Restore(restore::Restore),
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
            Self::Revoke(revoke) => revoke.run(context).await,
            Self::ExportRead(export) => export.run(context).await,
            Self::ImportRead(import) => import.run(context),
            Self::Rotate(rotate) => rotate.run(context).await,
            Self::Passphrase(passphrase) => passphrase.run(context),
            Self::Backup(backup) => backup.run(context),
            Self::Restore(restore) => restore.run(context),
            Self::List(list) => list.run(context).await,
        }
    }
}
