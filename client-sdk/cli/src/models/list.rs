//! `sphinx models list`.

use serde::Serialize;
use sphinx_client::Model;

use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;
use crate::output::table;

/// A model as it is listed.
#[derive(Debug, Serialize)]
pub struct Listed {
    model: String,
    network: String,
    key: String,
    version: u64,
    weights: u64,
    biases: u64,
    created: String,
    updated: String,
}

impl From<&Model> for Listed {
    fn from(model: &Model) -> Self {
        Self {
            model: model.model_id.to_string(),
            network: model.network.name.clone(),
            key: model.key_id.to_string(),
            version: model.version,
            weights: model.weights,
            biases: model.biases,
            created: time(model.created_unix_seconds),
            updated: time(model.updated_unix_seconds),
        }
    }
}

pub async fn run(context: &Context) -> Result<(), CliError> {
    let models: Vec<Listed> =
        context.workspace.client().list_models().await?.iter().map(Listed::from).collect();
    context.output.result(&models, || {
        if models.is_empty() {
            return "no models: make one with `sphinx train`".to_owned();
        }
        let header = ["MODEL", "NETWORK", "KEY", "VERSION", "WEIGHTS", "BIASES", "UPDATED"];
        let rows = models.iter().map(|model| {
            [
                model.model.clone(),
                model.network.clone(),
                model.key.clone(),
                model.version.to_string(),
                model.weights.to_string(),
                model.biases.to_string(),
                model.updated.clone(),
            ]
        });
        table(header, rows)
    })
}
