//! `sphinx keys restore`: puts back what a backup holds, and nothing over anything.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sphinx_client::workspace::WorkspaceError;
use sphinx_client::{ClientError, ClientKeyError};
use sphinx_secret::KeyFileError;

use crate::context::Context;
use crate::error::CliError;
use crate::output::program;

/// Put back what a backup holds; nothing is written over anything
#[derive(Debug, Args)]
pub struct Restore {
    /// The backup
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Restored {
    home: PathBuf,
    restored: Vec<PathBuf>,
    unchanged: Vec<PathBuf>,
}

impl Restore {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let home = context.workspace.home();
        let report = match home.restore(&self.file, None) {
            Err(error) if is_sealed(&error) => {
                let what = format!("the backup {}", self.file.display());
                let passphrase = context.passphrases.of(&what).map_err(CliError::Passphrase)?;
                home.restore(&self.file, Some(&passphrase))?
            }
            restored => restored?,
        };
        let restored = Restored {
            home: home.root_directory().to_owned(),
            restored: report.files,
            unchanged: report.unchanged,
        };
        context.output.result(&restored, || {
            let Restored { home, restored, unchanged } = &restored;
            format!(
                "{} files restored in {}, {} were there\n\nregister a key   {} keys register",
                restored.len(),
                home.display(),
                unchanged.len(),
                program()
            )
        })
    }
}

fn is_sealed(error: &WorkspaceError) -> bool {
    matches!(
        error,
        WorkspaceError::Client(ClientError::Keys(ClientKeyError::KeyFile(
            KeyFileError::Sealed { .. }
        )))
    )
}
