//! `sphinx keys revoke`: ends the authorisation of a key.

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;

/// Revoke a key, for good: nothing more is served under it
#[derive(Debug, Args)]
pub struct Revoke {
    /// The key; it need not be on this machine
    id: String,
}

#[derive(Debug, Serialize)]
struct Revoked {
    key: String,
    fingerprint: String,
    revoked: Option<String>,
}

impl Revoke {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let id = context.choose_key(Some(&self.id))?;
        let key = context.workspace.revoke_key(&id).await?;
        let revoked = Revoked {
            key: id.to_string(),
            fingerprint: key.fingerprint,
            revoked: key.revoked_unix_seconds.map(time),
        };
        context.output.result(&revoked, || {
            let Revoked { key, fingerprint, .. } = &revoked;
            format!(
                "key {key} is revoked\nfingerprint  {fingerprint}\n\n\
                 Trainings, preparations and one-shot requests under it end within five seconds, for good. Its file \
                 and its models stay."
            )
        })
    }
}
