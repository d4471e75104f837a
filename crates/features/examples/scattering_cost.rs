//! Time of one transform and group normalisation, per image, on one thread.
//!
//! `cargo run --release -p sphinx-features --example scattering_cost`

use std::time::Instant;

use sphinx_features::{Scattering, ScatteringError, normalise_groups};

const IMAGES: usize = 1000;

fn main() -> Result<(), ScatteringError> {
    let started = Instant::now();
    let scattering = Scattering::new(28, 28, 2, 8)?;
    println!("filters and plans {:8.3} ms", started.elapsed().as_secs_f64() * 1e3);
    let mut workspace = scattering.workspace();
    let image: Vec<f32> = (0..784).map(|pixel| (pixel * 31 % 97) as f32 / 96.0).collect();
    let mut features = vec![0.0; 81 * 49];
    let mut milliseconds = |normalised: bool| -> Result<f64, ScatteringError> {
        let mut best = f64::INFINITY;
        for _ in 0..5 {
            let started = Instant::now();
            for _ in 0..IMAGES {
                scattering.transform(&image, &mut workspace, &mut features)?;
                if normalised {
                    normalise_groups(&mut features, 27)?;
                }
            }
            best = best.min(started.elapsed().as_secs_f64() * 1e3 / IMAGES as f64);
        }
        Ok(best)
    };
    println!("transform         {:8.3} ms", milliseconds(false)?);
    println!("and normalisation {:8.3} ms", milliseconds(true)?);
    Ok(())
}
