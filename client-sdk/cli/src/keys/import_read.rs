//! `sphinx keys import-read`: keeps the read key of a model.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::output::program;

/// Keep the read key of a model that its owner exported, to recognise with it here
#[derive(Debug, Args)]
pub struct ImportRead {
    /// The file
    file: PathBuf,
}

#[derive(Debug, Serialize)]
struct Imported {
    model: String,
    file: String,
}

impl ImportRead {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let model = context.workspace.import_read_key(&self.file)?;
        let home = context.workspace.home();
        let file = home.read_key_path(context.workspace.tenant(), &model).display().to_string();
        let imported = Imported { model: model.to_string(), file };
        context.output.result(&imported, || {
            let Imported { model, file } = &imported;
            let next = format!("recognise with it   {} infer {model} IMAGE", program());
            format!("read key of {model}\nfile         {file}\n\n{next}")
        })
    }
}
