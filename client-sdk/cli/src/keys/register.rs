//! `sphinx keys register`: hands the identity of a key to the key vault.

use clap::Args;
use serde::Serialize;
use sphinx_client::{KeyId, OneShotProfile};

use super::new::profile;
use crate::context::Context;
use crate::error::CliError;
use crate::output::program;

/// Register the identity of a key, so that the services accept it
#[derive(Debug, Args)]
pub struct Register {
    /// The key [default: the only one there is]
    id: Option<String>,
    /// A remark for the list of keys
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
    /// Make evaluation keys if there are none yet, for recognition in one shot: `standard` (about
    /// 20 MB) for any network, `packing` (0.4 MB) for linear ones
    #[arg(long, value_name = "PROFILE", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "standard", value_parser = profile)]
    evaluation: Option<OneShotProfile>,
}

#[derive(Debug, Serialize)]
struct Registered {
    key: String,
    fingerprint: String,
    already_registered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    evaluation: Option<Evaluation>,
}

#[derive(Debug, Serialize)]
struct Evaluation {
    fingerprint: String,
    already_registered: bool,
    sent_bytes: u64,
}

impl Register {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let id = context.choose_key(self.id.as_deref())?;
        let receipt = context.workspace.register_key(&id, &self.description).await?;
        let registered = Registered {
            key: id.to_string(),
            fingerprint: receipt.key.fingerprint,
            already_registered: receipt.already_registered,
            evaluation: self.evaluation(context, &id).await?,
        };
        context.output.result(&registered, || {
            let Registered { key, fingerprint, already_registered, evaluation } = &registered;
            let evaluation = evaluation.as_ref().map_or_else(String::new, Evaluation::text);
            let done = if *already_registered { "was registered before" } else { "is registered" };
            let next = format!("train with it   {} train --key {key}", program());
            format!("key {key} {done}\nfingerprint  {fingerprint}\n{evaluation}\n{next}")
        })
    }

    /// Sends evaluation keys if there are any, or should be.
    async fn evaluation(
        &self,
        context: &Context,
        id: &KeyId,
    ) -> Result<Option<Evaluation>, CliError> {
        let missing = || Ok::<_, CliError>(context.workspace.home().evaluation_keys(id)?.is_none());
        if let Some(profile) = self.evaluation
            && missing()?
        {
            context.workspace.make_evaluation_keys(id, profile)?;
        }
        let sent = context.workspace.register_evaluation_keys(id, &self.description).await?;
        let Some(receipt) = sent else { return Ok(None) };
        Ok(Some(Evaluation {
            fingerprint: receipt.key.fingerprint,
            already_registered: receipt.already_registered,
            sent_bytes: receipt.sent_bytes,
        }))
    }
}

impl Evaluation {
    fn text(&self) -> String {
        let Self { fingerprint, already_registered, sent_bytes } = self;
        let done = if *already_registered { "were registered before" } else { "are registered" };
        format!("evaluation   {fingerprint}\n             {done}, {sent_bytes} bytes sent\n")
    }
}
