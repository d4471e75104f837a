//! `sphinx infer`: recognises pictures of digits.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sphinx_client::data::Digit;
use sphinx_client::recognition::{Prediction, Recogniser};
use sphinx_client::{KeyId, ModelId};
use sphinx_linalg::SLOTS;

use crate::error::CliError;
use crate::numbers::percent;
use crate::one_shot;
use crate::output::table;
use crate::session::Session;

/// Recognise pictures of digits
#[derive(Debug, Args)]
pub struct Infer {
    /// The model
    model: String,
    /// PNG or JPEG files of one digit each, any size
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// One request per image and nothing to prepare: the service evaluates the whole network under encryption, with the
    /// evaluation keys that are registered (`keys register --evaluation`)
    #[arg(long)]
    one_shot: bool,
}

/// One picture as JSON.
#[derive(Debug, Serialize)]
struct Recognised<'a> {
    file: String,
    class: usize,
    probability: f32,
    probabilities: &'a [f32],
}

impl Infer {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        // Before anything is asked of the services.
        let images = self.images.iter().map(|path| pixels(path)).collect::<Result<Vec<_>, _>>()?;
        let predictions = if self.one_shot {
            one_shot::infer(session, &self.model, &images).await?
        } else {
            self.with_tickets(session, &images).await?
        };
        let recognised: Vec<Recognised<'_>> =
            self.images.iter().zip(&predictions).map(recognised).collect();
        session.output.result(&recognised, || {
            let row = |r: &Recognised<'_>| {
                [r.file.clone(), r.class.to_string(), percent(f64::from(r.probability))]
            };
            table(["FILE", "CLASS", "PROBABILITY"], recognised.iter().map(row))
        })
    }

    async fn with_tickets(
        &self,
        session: &Session,
        images: &[Vec<f32>],
    ) -> Result<Vec<Prediction>, CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let key_id = KeyId::parse(session.client.model(&model_id).await?.key_id)?;
        let key = Arc::new(session.home.key(&key_id)?);
        let recogniser = Recogniser::new(&session.client, &model_id, key, &key_id).await?;
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        let mut predictions: Vec<Prediction> = Vec::with_capacity(images.len());
        for block in images.chunks(SLOTS) {
            let tickets =
                recogniser.prepare(block.len(), &mut rng).await?.take_many(block.len())?;
            predictions.extend(recogniser.infer_batch(tickets, block).await?);
        }
        Ok(predictions)
    }
}

pub fn pixels(path: &std::path::Path) -> Result<Vec<f32>, CliError> {
    let digit = Digit::open(path)?;
    Ok(digit.pixels().iter().map(|&pixel| f32::from(pixel) * (1.0 / 255.0)).collect())
}

fn recognised<'a>((path, prediction): (&PathBuf, &'a Prediction)) -> Recognised<'a> {
    Recognised {
        file: path.display().to_string(),
        class: prediction.class,
        probability: prediction.probability(),
        probabilities: &prediction.probabilities,
    }
}
