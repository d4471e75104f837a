//! `sphinx request`: requests for tools that speak gRPC, or for any other way of travelling.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sphinx_client::ModelId;
use sphinx_client::data::shown;
use sphinx_offline::write_request;

use crate::context::Context;
use crate::error::CliError;
use crate::files::create;
use crate::one_shot::RequestJson;

#[derive(Debug, Subcommand)]
pub enum Request {
    /// Print the request for one recognition in one shot, as JSON for `grpcurl -d @`
    OneShot(OneShot),
}

/// Print the request for one recognition in one shot, as JSON for `grpcurl -d @`
#[derive(Debug, Args)]
pub struct OneShot {
    /// The model
    model: String,
    /// PNG, JPEG, WebP, BMP, TIFF or GIF file of any size
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Write it to a file instead, for `sphinx evaluate-once`
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

impl Request {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let Self::OneShot(OneShot { model, image, output }) = self;
        let model_id = ModelId::parse(model.as_str())?;
        let one_shot = context.workspace.one_shot(&model_id).await?;
        let (network, sealed) = (one_shot.network(), one_shot.pipeline());
        let image = context.workspace.pipeline(&model_id, network, sealed)?.pixels(image)?;
        let request = one_shot.request(&image, &mut sphinx_client::secure_rng())?;
        if let Some(path) = output {
            create(path, &write_request(request.into()))?;
            return context.output.note(&format!("written  {}", shown(path)));
        }
        let json = serde_json::to_string(&RequestJson::from(request))
            .map_err(|error| CliError::Output(error.into()))?;
        context.output.text(&json)
    }
}
