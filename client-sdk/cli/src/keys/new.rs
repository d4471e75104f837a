//! `sphinx keys new`: makes a key on this machine.

use clap::Args;
use serde::Serialize;
use sphinx_client::{KeyId, OneShotProfile, evaluation_fingerprint};

use crate::context::Context;
use crate::error::CliError;
use crate::output::program;

/// Make a key on this machine
#[derive(Debug, Args)]
pub struct New {
    /// Its name [default: made from its fingerprint]
    #[arg(long, value_name = "ID")]
    id: Option<String>,
    /// Make evaluation keys as well, for recognition in one shot: `standard` (about 20 MB) for any
    /// network, `packing` (0.4 MB) for linear ones
    #[arg(long, value_name = "PROFILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "standard", value_parser = profile)]
    evaluation: Option<OneShotProfile>,
    /// Seal it by a passphrase: asked for, or of $SPHINX_PASSPHRASE or --passphrase-file
    #[arg(long)]
    passphrase: bool,
}

#[derive(Debug, Serialize)]
struct Made {
    key: String,
    fingerprint: String,
    file: String,
    sealed: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
}

#[derive(Debug, Serialize)]
struct Evaluation {
    fingerprint: String,
    bytes: usize,
    file: String,
}

/// The profile of evaluation keys by its name.
pub(super) fn profile(name: &str) -> Result<OneShotProfile, String> {
    let known = || OneShotProfile::ALL.map(OneShotProfile::name).join(" or ");
    OneShotProfile::from_name(name).ok_or_else(|| format!("expected {}", known()))
}

impl New {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let given = self.id.as_deref().map(KeyId::parse).transpose()?;
        let passphrase = self.passphrase.then(|| context.passphrases.chosen()).transpose()?;
        let id = context.workspace.make_key(given, passphrase.as_ref())?;
        let home = context.workspace.home();
        let evaluation = self.evaluation.map(|profile| {
            let bytes = context.workspace.make_evaluation_keys(&id, profile)?;
            Ok::<_, CliError>(Evaluation {
                fingerprint: evaluation_fingerprint(&bytes).to_string(),
                bytes: bytes.len(),
                file: home.evaluation_path(&id).display().to_string(),
            })
        });
        let evaluation = evaluation.transpose()?;
        let fingerprint = home.fingerprint(&id)?.to_string();
        let file = home.key_path(&id).display().to_string();
        let sealed = passphrase.is_some();
        let made = Made { key: id.to_string(), fingerprint, file, sealed, evaluation };
        context.output.result(&made, || {
            let Made { key, fingerprint, file, sealed, evaluation } = &made;
            let or_passphrase = if *sealed { " or without its passphrase" } else { "" };
            let evaluation = evaluation.as_ref().map_or_else(String::new, |made| {
                let Evaluation { fingerprint, bytes, file } = made;
                format!("evaluation   {fingerprint}\n             {file} ({bytes} bytes)\n")
            });
            format!(
                "key          {key}\nfingerprint  {fingerprint}\nfile         {file}\n{evaluation}\n\
                 The file is secret and the only copy: without it{or_passphrase} nobody can use what is trained with \
                 it.\n\n\
                 register it   {0} keys register {key}\nkeep a copy   {0} keys backup FILE",
                program()
            )
        })
    }
}
