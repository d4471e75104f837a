//! `sphinx models bundle`: a version as a file for evaluation without a service.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sphinx_client::ModelId;
use sphinx_client::data::shown;
use sphinx_client::one_shot::{EncryptedBiases, PublicModel};
use sphinx_offline::ModelFile;
use sphinx_proto::v1::OneShotBiases;

use crate::context::Context;
use crate::error::CliError;
use crate::files::create;

/// Write a model to a file for `sphinx evaluate-once`: weights, and biases under encryption
#[derive(Debug, Args)]
pub struct Bundle {
    /// The model
    model: String,
    /// File to write [default: MODEL.one-shot]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Serialize)]
struct Bundled {
    model: String,
    version: u64,
    file: String,
    bytes: usize,
}

impl Bundle {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let default = || PathBuf::from(format!("{model_id}.one-shot"));
        let path = self.output.clone().unwrap_or_else(default);
        if path.exists() {
            return Err(CliError::OutputExists { path });
        }
        let model = context.workspace.one_shot(&model_id).await?.public_model().await?;
        let version = model.version;
        let bytes = file(model).to_bytes();
        create(&path, &bytes)?;
        let bundled = Bundled {
            model: model_id.to_string(),
            version,
            file: shown(&path),
            bytes: bytes.len(),
        };
        context.output.result(&bundled, || {
            let Bundled { file, bytes, version, .. } = &bundled;
            format!("written  {file} ({bytes} bytes, version {version})")
        })
    }
}

fn message(EncryptedBiases { seeds, bodies }: EncryptedBiases) -> OneShotBiases {
    OneShotBiases { seeds, bodies }
}

fn file(model: PublicModel) -> ModelFile {
    let PublicModel { model_id, key_id, version, incarnation, network, weights, biases } = model;
    let bytes = |stage: &Vec<f32>| stage.iter().flat_map(|w| w.to_le_bytes()).collect::<Vec<u8>>();
    ModelFile {
        model_id: model_id.to_string(),
        key_id: key_id.to_string(),
        version,
        incarnation,
        network: Some((&network).into()),
        weights: weights.iter().map(|stage| bytes(stage).into()).collect(),
        biases: biases.into_iter().map(message).collect(),
    }
}
