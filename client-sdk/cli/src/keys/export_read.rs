//! `sphinx keys export-read`: writes the read key of a model to a file.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sphinx_client::ModelId;

use crate::context::Context;
use crate::error::CliError;

/// Write the read key of a model to a file, for a device or a colleague who only predicts
#[derive(Debug, Args)]
pub struct ExportRead {
    /// The model
    model: String,
    /// The new file
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Exported {
    tenant: String,
    model: String,
    /// What tells the model from a deleted one of the same name, in hexadecimal.
    incarnation: String,
    file: String,
}

impl ExportRead {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let name = context.workspace.export_read_key(&model_id, &self.file).await?;
        let exported = Exported {
            tenant: name.tenant,
            model: name.model,
            incarnation: hex::encode(name.incarnation),
            file: self.file.display().to_string(),
        };
        context.output.result(&exported, || {
            let Exported { model, file, .. } = &exported;
            format!(
                "read key of {model}\nfile         {file}\n\n\
                 The file is secret. Who has it can read what the service keeps of this model for you, and check its \
                 answers; not train it, and nothing of your other models."
            )
        })
    }
}
