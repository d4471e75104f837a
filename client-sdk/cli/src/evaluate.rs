//! `sphinx evaluate`: tests a model on images it has not seen.

use clap::Args;
use sphinx_client::ModelId;

use crate::context::Context;
use crate::data::{DataArgs, first};
use crate::error::CliError;
use crate::evaluation::{self, accuracy_text, cost_text};
use crate::output::program;

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
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let recogniser = context.workspace.recogniser(&model_id).await?;
        let images = self.data.load()?.test;
        let images = first(images, self.limit.map(|limit| limit as usize));
        let output = context.output;
        let evaluation = evaluation::run(&recogniser, &images, output).await?;
        output.result(&evaluation, || {
            let (accuracy, cost) = (accuracy_text(&evaluation), cost_text(&evaluation));
            let sphinx = program();
            let next = format!("recognise your own   {sphinx} infer {model_id} IMAGE...");
            format!("\n{accuracy}\ncost  {cost}\n\n{next}")
        })
    }
}
