//! `sphinx keys backup`: all that is needed to go on, in one file.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;

/// Write keys, ledgers and what this home remembers to one file, to go on from after a loss
#[derive(Debug, Args)]
pub struct Backup {
    /// The new file
    file: PathBuf,
    /// Seal it by a passphrase: asked for, or of $SPHINX_PASSPHRASE or --passphrase-file
    #[arg(long)]
    passphrase: bool,
}

#[derive(Debug, Serialize)]
struct Made {
    file: PathBuf,
    sealed: bool,
    files: Vec<PathBuf>,
}

impl Backup {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let passphrase = self.passphrase.then(|| context.passphrases.chosen()).transpose()?;
        let report = context.workspace.home().backup(&self.file, passphrase.as_ref())?;
        let made =
            Made { file: self.file.clone(), sealed: passphrase.is_some(), files: report.files };
        context.output.result(&made, || {
            let (count, file) = (made.files.len(), made.file.display());
            let secret = if made.sealed {
                "It is sealed by the passphrase: without it nobody can restore it."
            } else {
                "It holds the keys as they are: whoever has it has them."
            };
            format!(
                "{count} files in {file}: keys, ledgers, marks; no tickets\n{secret}\n\
                 A ledger that is older than its model is refused: back up again after every training."
            )
        })
    }
}
