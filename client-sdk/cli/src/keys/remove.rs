//! `sphinx keys remove`: takes evaluation keys out of the key vault.

use clap::Args;
use serde::Serialize;

use crate::error::CliError;
use crate::session::Session;

/// Remove evaluation keys from the key vault, so that nothing more is computed with them
#[derive(Debug, Args)]
pub struct Remove {
    /// The key [default: the only one there is]
    id: Option<String>,
    /// The evaluation keys; public keys stay, since models are bound to them
    #[arg(long, required = true)]
    evaluation: bool,
}

#[derive(Debug, Serialize)]
struct Removed {
    key: String,
    fingerprint: String,
}

impl Remove {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        let id = session.choose_key(self.id.as_deref())?;
        let key = session.client.remove_evaluation_keys(&id).await?;
        let removed = Removed { key: id.to_string(), fingerprint: key.fingerprint };
        session.output.result(&removed, || {
            let Removed { key, fingerprint } = &removed;
            format!("evaluation keys of {key} are removed\nfingerprint  {fingerprint}")
        })
    }
}
