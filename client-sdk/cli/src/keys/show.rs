//! `sphinx keys show`: everything about one key, here and in the key vault.

use clap::Args;
use serde::Serialize;
use sphinx_client::{ClientError, KeyId, RegisteredKey, WorkspaceError};

use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;

/// Show one key: whole fingerprints, here and in the key vault
#[derive(Debug, Args)]
pub struct Show {
    /// The key [default: the only one there is]
    id: Option<String>,
}

#[derive(Debug, Serialize)]
struct Shown {
    key: String,
    /// Where the secret half is on this machine.
    file: Option<String>,
    /// When it was revoked.
    revoked: Option<String>,
    identity: Half,
    evaluation: Half,
}

/// One kind of material.
#[derive(Debug, Serialize)]
struct Half {
    local_fingerprint: Option<String>,
    registered_fingerprint: Option<String>,
    registered_bytes: Option<u64>,
    registered: Option<String>,
}

impl Show {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let id = context.choose_key(self.id.as_deref())?;
        let path = context.workspace.home().key_path(&id);
        let identity = there(context.workspace.client().key(&id).await)?;
        let evaluation = there(context.workspace.client().evaluation_keys(&id).await)?;
        let here = match context.workspace.home().fingerprint(&id) {
            Ok(print) => Some(print.to_string()),
            Err(WorkspaceError::NoSecret { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let revoked = identity.as_ref().or(evaluation.as_ref());
        let revoked = revoked.and_then(|key| key.revoked_unix_seconds);
        let here_evaluation = context.workspace.home().evaluation_fingerprint(&id)?;
        let shown = Shown {
            key: id.to_string(),
            file: path.exists().then(|| path.display().to_string()),
            revoked: revoked.map(time),
            identity: Half::new(here, identity),
            evaluation: Half::new(here_evaluation.map(|print| print.to_string()), evaluation),
        };
        context.output.result(&shown, || shown.text(&id))
    }
}

impl Half {
    fn new(local_fingerprint: Option<String>, registered: Option<RegisteredKey>) -> Self {
        Self {
            local_fingerprint,
            registered_bytes: registered.as_ref().map(|key| key.material_bytes),
            registered: registered.as_ref().map(|key| time(key.created_unix_seconds)),
            registered_fingerprint: registered.map(|key| key.fingerprint),
        }
    }

    fn text(&self) -> String {
        let none = || "none".to_owned();
        let vault = match (&self.registered_fingerprint, self.registered_bytes, &self.registered) {
            (Some(print), Some(bytes), Some(time)) => format!("{print} ({bytes} bytes, {time})"),
            _ => none(),
        };
        let differs = self.local_fingerprint.is_some()
            && self.registered_fingerprint.is_some()
            && self.local_fingerprint != self.registered_fingerprint;
        let remark = if differs { "\n  DIFFERENT: not the same" } else { "" };
        let here = self.local_fingerprint.clone().unwrap_or_else(none);
        format!("  here       {here}\n  key vault  {vault}{remark}")
    }
}

impl Shown {
    fn text(&self, id: &KeyId) -> String {
        let file = self.file.as_deref().unwrap_or("elsewhere");
        let (identity, evaluation) = (self.identity.text(), self.evaluation.text());
        let revoked = self.revoked.as_ref().map_or_else(String::new, |time| {
            format!("REVOKED      {time}: nothing is served under it\n")
        });
        format!(
            "key {id}\nsecret half  {file}\n{revoked}identity\n{identity}\nevaluation keys\n{evaluation}"
        )
    }
}

/// What is registered, if anything is.
fn there(asked: Result<RegisteredKey, ClientError>) -> Result<Option<RegisteredKey>, CliError> {
    match asked {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}
