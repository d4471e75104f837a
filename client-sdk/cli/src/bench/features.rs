//! From pixels to what enters a network's first linear layer.

use std::time::Instant;

use rayon::prelude::*;
use sphinx_client::ClientError;
use sphinx_features::PublicStem;
use sphinx_network::{NetworkSpec, Plan, apply_steps};

use crate::error::CliError;

/// What enters the linear layer, and how long that took.
pub(super) struct Features {
    pub rows: Vec<Vec<f32>>,
    pub seconds: f64,
}

pub(super) fn features(spec: &NetworkSpec, images: &[Vec<f32>]) -> Result<Features, CliError> {
    let plan = Plan::new(spec)?;
    let stem = PublicStem::new(&plan).map_err(ClientError::from)?;
    let started = Instant::now();
    let rows = images.par_iter().map_init(
        || stem.worker(),
        |worker, image| {
            let features = worker.apply(image).map_err(ClientError::from)?;
            Ok::<_, ClientError>(apply_steps(&plan.input_steps, features))
        },
    );
    let rows = rows.collect::<Result<_, _>>()?;
    Ok(Features { rows, seconds: started.elapsed().as_secs_f64() })
}
