//! `sphinx models suspect`: models whose service answered wrongly.

use clap::Args;
use sphinx_client::{ClientError, ModelId, Suspect};

use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;
use crate::output::{program, table};

/// Show which models are suspect and why, or clear a mark deliberately
#[derive(Debug, Args)]
pub struct Suspects {
    /// The model; without it, all that are marked
    model: Option<String>,
    /// Clear the mark of a model, after you have found out what happened
    #[arg(long, value_name = "MODEL", conflicts_with = "model")]
    clear: Option<String>,
}

impl Suspects {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let suspects = context.workspace.home().suspects(context.workspace.tenant());
        if let Some(model) = &self.clear {
            let model = ModelId::parse(model.as_str())?;
            let cleared = suspects.clear(&model).map_err(ClientError::from)?;
            let done = serde_json::json!({ "model": model.to_string(), "cleared": cleared });
            return context.output.result(&done, || match cleared {
                true => format!("model {model} is used again; its key is as it was"),
                false => format!("model {model} is not marked"),
            });
        }
        let found: Vec<Suspect> = match &self.model {
            Some(model) => {
                let model = ModelId::parse(model.as_str())?;
                suspects.find(&model).map_err(ClientError::from)?.into_iter().collect()
            }
            None => suspects.list().map_err(ClientError::from)?,
        };
        context.output.result(&found, || text(&found))
    }
}

fn text(suspects: &[Suspect]) -> String {
    if suspects.is_empty() {
        return "no model is suspect".to_owned();
    }
    let header = ["MODEL", "KEY", "VERSION", "STAGE", "PHASE", "SINCE", "BUILD"];
    let rows = suspects.iter().map(|suspect| {
        [
            suspect.model.clone(),
            suspect.key_id.clone(),
            suspect.version.to_string(),
            suspect.stage.to_string(),
            suspect.phase.clone(),
            time(i64::try_from(suspect.unix_seconds).unwrap_or(i64::MAX)),
            suspect.build.clone(),
        ]
    });
    format!(
        "{}\n\nThe service answered a linear product, or a query whose answer was known, wrongly: no accident of a line \
         does that.\nUse another service; or, when you know what happened, `{} models suspect --clear MODEL`.",
        table(header, rows),
        program()
    )
}
