//! `sphinx models delete`.

use clap::Args;
use serde::Serialize;
use sphinx_client::ModelId;

use crate::context::Context;
use crate::error::CliError;

/// Delete a model with all its versions
#[derive(Debug, Args)]
pub struct Delete {
    /// The model
    model: String,
}

#[derive(Debug, Serialize)]
struct Deleted {
    model: String,
    /// Where its privacy ledger was moved.
    ledger: Option<String>,
}

impl Delete {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let ledger = context.workspace.delete_model(&model_id).await?;
        let ledger = ledger.map(|path| path.display().to_string());
        let deleted = Deleted { model: model_id.to_string(), ledger };
        context.output.result(&deleted, || match &deleted.ledger {
            Some(ledger) => format!(
                "model {model_id} is deleted; what it told about your data is not undone, the record of it is kept in \
                 {ledger}"
            ),
            None => format!("model {model_id} is deleted"),
        })
    }
}
