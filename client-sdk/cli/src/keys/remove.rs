//! `sphinx keys remove`: takes evaluation keys out of the key vault.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;

/// Remove evaluation keys from the key vault, so that nothing more is computed with them
#[derive(Debug, Args)]
pub struct Remove {
    /// The key [default: the only one there is]
    id: Option<String>,
    /// The evaluation keys; the identity stays, since models are bound to it: `keys revoke` ends it
    #[arg(long, required = true)]
    evaluation: bool,
}

#[derive(Debug, Serialize)]
struct Removed {
    key: String,
    fingerprint: String,
}

impl Remove {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let id = context.choose_key(self.id.as_deref())?;
        let key = context.workspace.client().remove_evaluation_keys(&id).await?;
        let removed = Removed { key: id.to_string(), fingerprint: key.fingerprint };
        context.output.result(&removed, || {
            let Removed { key, fingerprint } = &removed;
            format!("evaluation keys of {key} are removed\nfingerprint  {fingerprint}")
        })
    }
}
