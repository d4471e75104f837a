//! `sphinx keys passphrase`: what seals a key from now on.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::config::environment;
use crate::context::Context;
use crate::error::CliError;
use crate::passphrase::{PassphraseSource, chosen_at_terminal};

/// Seal a key by a passphrase, change it, or take it away
#[derive(Debug, Args)]
pub struct Passphrase {
    /// The key [default: the only one there is]
    id: Option<String>,
    /// Let the key lie as it is
    #[arg(long)]
    remove: bool,
    /// File of the new passphrase [the passphrase itself: $SPHINX_NEW_PASSPHRASE]
    #[arg(long, value_name = "FILE", conflicts_with = "remove")]
    new_passphrase_file: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Sealed {
    key: String,
    was_sealed: bool,
    sealed: bool,
}

impl Passphrase {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let id = context.choose_key(self.id.as_deref())?;
        let home = context.workspace.home();
        let was_sealed = home.is_sealed(&id)?;
        let next = if self.remove { None } else { Some(self.chosen()?) };
        home.seal_key(&id, next.as_ref())?;
        let sealed = Sealed { key: id.to_string(), was_sealed, sealed: next.is_some() };
        context.output.result(&sealed, || {
            let done = match (sealed.was_sealed, sealed.sealed) {
                (false, true) => "is sealed by a passphrase now",
                (true, true) => "is sealed by the new passphrase now",
                (true, false) => "is sealed no more",
                (false, false) => "was not sealed, and is not",
            };
            format!("key {} {done}\nBackups made before keep what they were made with.", sealed.key)
        })
    }

    fn chosen(&self) -> Result<sphinx_client::Passphrase, CliError> {
        let variable = environment("SPHINX_NEW_PASSPHRASE");
        if variable.is_none() && self.new_passphrase_file.is_none() {
            return chosen_at_terminal();
        }
        PassphraseSource::new(variable, self.new_passphrase_file.clone()).chosen()
    }
}
