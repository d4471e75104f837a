//! From the harness's pixels to the public features of the model.

use rayon::prelude::*;
use sphinx_features::PublicStem;
use sphinx_he_common::{Instance, Model, Outcome, SubmissionError};
use sphinx_network::apply_steps;

use crate::keys;

const FILE: &str = "intermediate/features.bin";

/// Deskews images and takes their scattering transform.
pub fn compute(instance: Instance, model: &Model) -> Outcome<()> {
    let path = instance.pixels();
    let text = std::fs::read_to_string(&path)
        .map_err(|source| SubmissionError::File { path: path.clone(), source })?;
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let content = |got: String, expected: String| {
        let path = path.clone();
        SubmissionError::Content { path, got, expected }
    };
    if lines.len() != instance.images() {
        return Err(content(format!("{} images", lines.len()), instance.images().to_string()));
    }
    let stem = PublicStem::new(&model.plan).map_err(SubmissionError::library)?;
    let pixels = model.plan.input.len();
    let rows = lines.par_iter().enumerate().map_init(
        || stem.worker(),
        |worker, (index, line)| {
            let numbers = line.split_whitespace().map(str::parse::<f32>);
            let image: Vec<f32> = numbers.collect::<Result<_, _>>().map_err(|error| {
                content(format!("line {}: {error}", index + 1), "pixels".into())
            })?;
            if image.len() != pixels {
                let got = format!("{} pixels in line {}", image.len(), index + 1);
                return Err(content(got, pixels.to_string()));
            }
            let features = worker.apply(&image).map_err(SubmissionError::library)?;
            Ok(apply_steps(&model.plan.input_steps, features))
        },
    );
    let rows: Vec<Vec<f32>> = rows.collect::<Outcome<_>>()?;
    let bytes: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
    keys::secret(instance, FILE, &bytes)
}

/// The features of every image.
pub fn read(instance: Instance, count: usize) -> Outcome<Vec<Vec<f32>>> {
    let bytes = instance.read(FILE, instance.images() * count * 4)?;
    let values = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let values: Vec<f32> = values.collect();
    Ok(values.chunks_exact(count).map(<[f32]>::to_vec).collect())
}
