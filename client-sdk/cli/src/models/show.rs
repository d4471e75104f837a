//! `sphinx models show`.

use clap::Args;
use serde::Serialize;
use sphinx_client::ModelId;

use super::list::Listed;
use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;

/// Show a model's network and what is known about it
#[derive(Debug, Args)]
pub struct Show {
    /// The model
    model: String,
}

#[derive(Debug, Serialize)]
struct Shown {
    #[serde(flatten)]
    listed: Listed,
    /// As TOML that `--network` reads.
    network_toml: String,
    /// Where its privacy ledger is, if it is on this machine.
    ledger: Option<String>,
}

impl Show {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let model = context.workspace.client().model(&model_id).await?;
        let ledger = context.workspace.home().ledger(context.workspace.tenant(), &model_id);
        let shown = Shown {
            listed: Listed::from(&model),
            network_toml: model.network.to_toml()?,
            ledger: ledger.exists().then(|| ledger.display().to_string()),
        };
        context.output.result(&shown, || {
            format!(
                "model    {model_id}\nversion  {}\nkey      {}\nsize     {} weights, {} encrypted biases\n\
                 created  {}\nupdated  {}\nledger   {}\n\n{}",
                model.version,
                model.key_id,
                model.weights,
                model.biases,
                time(model.created_unix_seconds),
                time(model.updated_unix_seconds),
                shown.ledger.as_deref().unwrap_or("not on this machine"),
                shown.network_toml,
            )
        })
    }
}
