//! Reconstructs training images from what the server receives, with and without protection, and
//! writes contact sheets.
//!
//! ```sh
//! cargo build --release --bin sphinx
//! cargo run --release -p sphinx-attack --example reconstruct -- [NETWORK] [DIRECTORY] [encrypted]
//! ```
//!
//! It takes some minutes on two cores. With `encrypted` the gradients are taken from the bytes that
//! commit them in sessions with real services; otherwise from the same training loop on the twin in
//! the clear.

mod capture;
mod services;
mod sheet;
mod victim;

use std::error::Error;
use std::path::PathBuf;

use rayon::prelude::*;
use sphinx_attack::picture::{match_up, psnr};
use sphinx_attack::{Knowledge, Network, Observation, Reconstruction, rank_one_image};
use sphinx_network::{Linear, NetworkSpec, Plan};

use crate::sheet::Row;
use crate::victim::{Commit, EPSILON, Protection, Victim};

/// Images attacked one by one, then all in one batch.
const IMAGES: usize = 8;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("sphinx-mnist", String::as_str);
    let directory = PathBuf::from(arguments.get(1).map_or("target/attack", String::as_str));
    let encrypted = arguments.get(2).is_some_and(|mode| mode == "encrypted");
    std::fs::create_dir_all(&directory)?;
    let spec = NetworkSpec::builtin(name).ok_or("no such network")?;
    let victim = Victim::new(spec, IMAGES)?;
    println!(
        "{name}, epsilon {EPSILON}, sigma {:.3}, C {}",
        victim.sigma()?,
        victim::CLIPPING_NORM
    );

    let seen = if encrypted {
        Box::pin(services::observe(&victim)).await?
    } else {
        tokio::task::block_in_place(|| victim.observe_twin())?
    };
    let plan = Plan::new(&victim.spec)?;
    let network = Network::new(&plan)?;
    println!(
        "| batch | what the server sees | mean PSNR | least | most | labels right | mean 1 - cos |"
    );
    println!("|---|---|---|---|---|---|---|");
    for (protection, singles, batch) in &seen {
        let row = attack_singles(&network, &victim, *protection, singles)?;
        row.print(1, protection.title());
        row.save(&directory.join(format!(
            "{name}-{}-1{}.png",
            protection.tag(),
            suffix(encrypted)
        )))?;
        if let Linear::Dense { inputs, .. } = plan.stages[0].linear {
            read_off(&victim, singles, inputs)
                .print(1, &format!("{}; first layer read off", protection.title()));
        }
        if let Some(batch) = batch {
            let row = attack_batch(&network, &victim, *protection, batch)?;
            row.print(IMAGES, protection.title());
            row.save(&directory.join(format!(
                "{name}-{}-{IMAGES}{}.png",
                protection.tag(),
                suffix(encrypted)
            )))?;
        }
    }
    Ok(())
}

fn suffix(encrypted: bool) -> &'static str {
    if encrypted { "-encrypted" } else { "" }
}

fn observation(protection: Protection, commit: &Commit) -> Observation {
    let biases = (protection == Protection::ClearBiases).then(|| commit.bias_gradient.clone());
    Observation { weights: commit.gradient.clone(), biases }
}

fn knowledge(protection: Protection, commit: &Commit) -> Knowledge<'_> {
    let biases = (protection == Protection::ClearBiases).then_some(commit.biases.as_slice());
    Knowledge { weights: &commit.weights, biases }
}

fn attack_singles(
    network: &Network,
    victim: &Victim,
    protection: Protection,
    commits: &[Commit],
) -> Result<Row, Box<dyn Error>> {
    let attack =
        Reconstruction { iterations: 1200, starts: 2, rate: 0.1, total_variation: 1e-5, seed: 7 };
    let found = commits.par_iter().map(|commit| {
        attack.run(network, knowledge(protection, commit), &observation(protection, commit), 1)
    });
    let found = found.collect::<Result<Vec<_>, _>>()?;
    let right = found.iter().zip(&victim.labels).filter(|(f, l)| f.labels[0] == usize::from(**l));
    let images: Vec<Vec<f32>> = found.iter().map(|found| found.images[0].clone()).collect();
    let quality = images.iter().zip(&victim.images).map(|(a, b)| psnr(a, b)).collect();
    let distance = found.iter().map(|found| found.distance).sum::<f64>() / found.len() as f64;
    let labels = right.count();
    Ok(Row { originals: victim.images.clone(), images, quality, labels, distance })
}

fn attack_batch(
    network: &Network,
    victim: &Victim,
    protection: Protection,
    commit: &Commit,
) -> Result<Row, Box<dyn Error>> {
    let attack =
        Reconstruction { iterations: 2500, starts: 2, rate: 0.1, total_variation: 1e-5, seed: 9 };
    let found = attack.run(
        network,
        knowledge(protection, commit),
        &observation(protection, commit),
        IMAGES,
    )?;
    let places = match_up(&found.images, &victim.images);
    let images: Vec<Vec<f32>> = places.iter().map(|&place| found.images[place].clone()).collect();
    let right = places.iter().zip(&victim.labels);
    let labels = right.filter(|(place, l)| found.labels[**place] == usize::from(**l)).count();
    let quality = images.iter().zip(&victim.images).map(|(a, b)| psnr(a, b)).collect();
    Ok(Row { originals: victim.images.clone(), images, quality, labels, distance: found.distance })
}

/// The closed form for networks that start with a dense layer.
fn read_off(victim: &Victim, commits: &[Commit], inputs: usize) -> Row {
    let images: Vec<Vec<f32>> =
        commits.iter().map(|commit| rank_one_image(&commit.gradient[0], inputs)).collect();
    let quality = images.iter().zip(&victim.images).map(|(a, b)| psnr(a, b)).collect();
    Row { originals: victim.images.clone(), images, quality, labels: 0, distance: f64::NAN }
}
