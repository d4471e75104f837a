//! `sphinx evaluate`: tests a model on images it has not seen.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use sphinx_client::ModelId;
use sphinx_client::data::sources::Loaded;
use sphinx_client::data::{Dataset, Pipeline, shown};
use sphinx_client::workspace::Calibration;

use crate::context::Context;
use crate::data::{DataArgs, first};
use crate::error::CliError;
use crate::evaluation::{self, Engine, accuracy_text, cost_text};
use crate::output::program;
use crate::report::write_page;

/// Test a model on images it has not seen
#[derive(Debug, Args)]
pub struct Evaluate {
    /// The model
    model: String,
    /// Test with the first N images only
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    /// Which of the images
    #[arg(long, value_enum, default_value_t = SplitKind::Test)]
    split: SplitKind,
    /// Count answers with a probability below P as unsure
    #[arg(long, value_name = "P", value_parser = probability)]
    reject: Option<f32>,
    /// Keep what these answers say of the model's doubt: probabilities of `infer` are corrected by
    /// it from then on, and each answer says how unlike these images a picture is. It stays on this
    /// machine; epsilon does not cover what it says of the images
    #[arg(long)]
    calibrate: bool,
    /// Recognise in one shot, image by image, with the evaluation keys that are registered
    #[arg(long)]
    one_shot: bool,
    /// With --one-shot, for linear networks: thousands of images in one request
    #[arg(long, requires = "one_shot")]
    batch: bool,
    /// Write a page for a browser into this directory, with pictures of the worst mistakes
    #[arg(long, value_name = "DIR")]
    report: Option<PathBuf>,
    #[command(flatten)]
    data: DataArgs,
}

/// A part of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum SplitKind {
    /// Those to train on
    Train,
    /// Those to choose settings by
    Validation,
    /// Those that training never sees
    Test,
}

/// A probability in [0, 1].
pub fn probability(text: &str) -> Result<f32, String> {
    let parsed = text.parse::<f32>().ok().filter(|p| (0.0..=1.0).contains(p));
    parsed.ok_or_else(|| "expected a probability from 0 to 1".to_owned())
}

impl Evaluate {
    /// The images to test with, through the model's pipeline.
    fn images(&self, pipeline: &Pipeline) -> Result<Dataset, CliError> {
        let found = self.data.find()?.with_classes(&pipeline.classes)?;
        let place = found.place();
        let Loaded { train, validation, test, .. } = self.data.load_through(found, pipeline)?;
        let images = match self.split {
            SplitKind::Train => train,
            SplitKind::Validation => match validation {
                Some(validation) => validation,
                None => return Err(CliError::Usage(format!("{place} has no validation split"))),
            },
            SplitKind::Test => test,
        };
        if images.is_empty() {
            return Err(CliError::Usage(format!("{place} has no image to test with; see --split")));
        }
        Ok(first(images, self.limit.map(|limit| limit as usize)))
    }

    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let (workspace, output) = (&context.workspace, context.output);
        let engine = match (self.one_shot, self.batch) {
            (false, _) => Engine::Tickets(Box::new(workspace.recogniser(&model_id).await?)),
            (true, false) => Engine::OneShot(Box::new(workspace.one_shot(&model_id).await?)),
            (true, true) => Engine::Batches(Box::new(workspace.batches(&model_id).await?)),
        };
        let (network, sealed) = engine.model();
        let pipeline = workspace.pipeline(&model_id, network, sealed)?;
        let images = self.images(&pipeline)?;
        let evaluation = evaluation::run(&engine, &images, self.reject, output).await?;
        if self.calibrate {
            let Some(calibration) = evaluation.calibration(images.labels()) else {
                let (got, fewest) = (images.len(), Calibration::FEWEST);
                let text = format!("--calibrate: {got} images are too few, {fewest} are needed");
                return Err(CliError::Usage(text));
            };
            workspace.keep_calibration(&model_id, &calibration)?;
            let (temperature, version) = (calibration.temperature, calibration.version);
            output.note(&format!(
                "calibrated  version {version} by {} images, temperature {temperature:.3}",
                images.len()
            ))?;
        }
        if let Some(directory) = &self.report {
            let path = write_page(directory, &evaluation, &images)?;
            output.note(&format!("written  {}", shown(&path)))?;
        }
        output.result(&evaluation, || {
            let (accuracy, cost) = (accuracy_text(&evaluation), cost_text(&evaluation));
            let sphinx = program();
            let next = format!("recognise your own   {sphinx} infer {model_id} IMAGE...");
            format!("\n{accuracy}\ncost  {cost}\n\n{next}")
        })
    }
}
