//! `sphinx tickets prepare`.

use std::time::Instant;

use clap::Args;
use serde::Serialize;
use sphinx_client::{ModelId, Traffic};
use sphinx_linalg::SLOTS;

use super::open;
use crate::context::Context;
use crate::error::CliError;
use crate::numbers::{per_image, seconds};

/// Prepare tickets in advance, so that `sphinx infer` need not
#[derive(Debug, Args)]
pub struct Prepare {
    /// The model
    model: String,
    /// How many; a block of 2048 costs as much as a single ticket
    #[arg(long, value_name = "N", default_value_t = SLOTS as u32, value_parser = clap::value_parser!(u32).range(1..))]
    count: u32,
}

#[derive(Debug, Serialize)]
struct Prepared {
    model: String,
    version: u64,
    prepared: usize,
    seconds: f64,
    bytes_up: u64,
    bytes_down: u64,
    /// Tickets of this version in the store now.
    unused: usize,
}

impl Prepare {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let mut rng = sphinx_client::secure_rng();
        let (recogniser, store) = open(context, &model_id).await?;
        let (begun, before) = (Instant::now(), recogniser.traffic());
        let mut missing = self.count as usize;
        while missing > 0 {
            let tickets = recogniser.prepare(missing.min(SLOTS), &mut rng).await?;
            missing -= recogniser.keep(&store, tickets).await?;
        }
        let after = recogniser.traffic();
        let traffic = Traffic { up: after.up - before.up, down: after.down - before.down };
        let prepared = Prepared {
            model: model_id.to_string(),
            version: recogniser.version(),
            prepared: self.count as usize,
            seconds: begun.elapsed().as_secs_f64(),
            bytes_up: traffic.up,
            bytes_down: traffic.down,
            unused: store
                .unused(&recogniser.edition())
                .map_err(sphinx_client::ClientError::from)?,
        };
        context.output.result(&prepared, || {
            let Prepared { version, prepared, unused, .. } = &prepared;
            let (time, cost) =
                (seconds(begun.elapsed().as_secs_f64()), per_image(traffic, *prepared as u64));
            format!(
                "{prepared} tickets prepared for {model_id} at version {version} in {time} ({cost}); {unused} unused"
            )
        })
    }
}
