//! `sphinx evaluate`: tests a model on images it has not seen.

use std::sync::Arc;

use clap::Args;
use sphinx_client::{KeyId, ModelId};

use crate::data::{DataArgs, first};
use crate::error::CliError;
use crate::evaluation::Evaluation;
use crate::output::program;
use crate::session::Session;

/// Test a model on images it has not seen
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model
    model: String,
    /// Test with the first N images only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    data: DataArgs,
}

impl Evaluate {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let key_id = KeyId::parse(session.client.model(&model_id).await?.key_id)?;
        let key = Arc::new(session.home.key(&key_id)?);
        let (_, images) = self.data.load()?;
        let images = first(images, self.limit.map(|limit| limit as usize))?;
        let output = session.output;
        let evaluation =
            Evaluation::of(&session.client, &model_id, (&key_id, key), &images, output).await?;
        output.result(&evaluation, || {
            let (accuracy, cost) = (evaluation.accuracy_text(), evaluation.cost_text());
            let sphinx = program();
            let next = format!("recognise your own   {sphinx} infer {model_id} IMAGE...");
            format!("\n{accuracy}\ncost  {cost}\n\n{next}")
        })
    }
}
