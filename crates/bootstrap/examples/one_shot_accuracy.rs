//! Trains `mlp-100` on MNIST in the clear, simulates all test images and recognises some of them
//! under encryption, by default 500, 16 and 20:
//!
//! ```sh
//! cargo run --release -p sphinx-bootstrap --example one_shot_accuracy [IMAGES [LEVELS [EPOCHS]]]
//! ```

#[path = "../tests/support/mod.rs"]
mod support;

use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::SimulationNoise;
use support::{Images, Outcome, Party, class, mlp, train};

fn main() -> Outcome<()> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| -> Outcome<usize> {
        Ok(arguments.next().map(|text| text.parse()).transpose()?.unwrap_or(default))
    };
    let (encrypted, levels, epochs) = (number(500)?, number(16)?, number(20)?);
    let (images, test) = (Images::mnist(true)?, Images::mnist(false)?);
    let spec = mlp(100, u32::try_from(levels)?);
    let parameters = train(&spec, &images, images.len(), 256, epochs)?;
    let mut party = Party::new(&spec, &parameters)?;
    let mut rng = ChaCha20Rng::seed_from_u64(5);

    let mut predictions = Vec::new();
    for noise in [SimulationNoise::None, SimulationNoise::Predicted] {
        let start = Instant::now();
        let simulated: Vec<usize> = (0..test.len())
            .map(|index| party.simulation.classify(test.image(index), noise, &mut rng))
            .collect();
        let right = count(&simulated, &test.labels);
        let share = 100.0 * right as f64 / test.len() as f64;
        println!(
            "simulated, noise {noise:?}: {share:.2} % of {} in {:.2?}",
            test.len(),
            start.elapsed()
        );
        predictions.push(simulated);
    }
    let start = Instant::now();
    let mut decrypted = Vec::with_capacity(encrypted);
    for index in 0..encrypted {
        decrypted.push(class(&party.recognise(test.image(index))?));
    }
    let seconds = start.elapsed().as_secs_f64() / encrypted as f64;
    let right = count(&decrypted, &test.labels);
    println!("encrypted: {right} of {encrypted} right, {seconds:.3} s per image");
    for (name, simulated) in ["without", "with"].into_iter().zip(&predictions) {
        let same = decrypted.iter().zip(simulated).filter(|(a, b)| a == b).count();
        let right = count(&simulated[..encrypted], &test.labels);
        println!("  the simulation {name} noise has {right} right and agrees on {same}");
    }
    Ok(())
}

fn count(predictions: &[usize], labels: &[u8]) -> usize {
    predictions.iter().zip(labels).filter(|(class, label)| **class == usize::from(**label)).count()
}
