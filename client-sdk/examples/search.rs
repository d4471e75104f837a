//! Tries hyper-parameters on the clear-text twin of an encrypted training: same loop, same noise, no services.
//!
//! `cargo run --release -p sphinx-client --example search -- NETWORK EPOCHS EPSILON CLIP LR MOMENTUM FLOOR WARMUP SEEDS [adam]`
//! with EPSILON 0 for no privacy. Prints the test accuracy of every seed.
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_client::data::Mnist;
use sphinx_client::{ClearTwin, Privacy, TrainingOptions, train_without_ledger};
use sphinx_network::{NetworkSpec, Plan, QuantisedNetwork, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: f64| -> Result<f64, std::num::ParseFloatError> {
        arguments.get(index).map_or(Ok(default), |text| text.parse())
    };
    let network = arguments.first().map_or("sphinx-mnist", String::as_str);
    let (epochs, epsilon) = (number(1, 10.0)?, number(2, 3.0)?);
    let (clip, rate, momentum) = (number(3, 0.1)?, number(4, 4.0)?, number(5, 0.9)?);
    let (floor, warmup, seeds) = (number(6, 0.05)?, number(7, 0.0)?, number(8, 1.0)?);
    let adam = arguments.get(9).is_some_and(|rule| rule == "adam");
    let spec = NetworkSpec::builtin(network)
        .or_else(|| NetworkSpec::from_toml(&std::fs::read_to_string(network).ok()?).ok())
        .ok_or("no such network")?;
    let plan = Plan::new(&spec)?;
    let (data, test) = Mnist::bundled()?.into_train_test();
    let privacy = if epsilon > 0.0 {
        let target = Target::new(epsilon, Delta::new(1e-5)?)?;
        Privacy::Budget { target, clipping_norm: clip as f32 }
    } else {
        Privacy::None
    };
    let optimizer = if adam {
        OptimizerSpec::ADAM
    } else {
        OptimizerSpec::Sgd { momentum: momentum as f32, nesterov: false }
    };
    let options = TrainingOptions {
        epochs,
        blocks: 1,
        batch: None,
        optimizer,
        learning_rate: rate as f32,
        decay: Decay::Cosine { floor: floor as f32 },
        warmup: warmup as u64,
        averaging: None,
        privacy,
    };
    let mut accuracies = Vec::new();
    for seed in 0..seeds as u64 {
        let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(seed));
        let rule = options.rule(data.len())?;
        let mut twin = ClearTwin::new(&plan, parameters, rule)?;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut last = (0.0, 0.0);
        train_without_ledger(&mut twin, &spec, &data, &options, bytes, &mut |progress| {
            last = (progress.loss, progress.accuracy);
            true
        })?;
        let clear = QuantisedNetwork::new(&plan, twin.parameters(), spec.bias_bound, 11)?;
        let correct: usize = (0..test.len())
            .into_par_iter()
            .map(|index| {
                let image: Vec<f32> = test
                    .image(index)
                    .unwrap_or_default()
                    .iter()
                    .map(|&p| f32::from(p) / 255.0)
                    .collect();
                let logits = clear.classify(&image).unwrap_or_default();
                let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
                usize::from(best.map(|best| best.0) == Some(usize::from(test.labels()[index])))
            })
            .sum();
        accuracies.push(correct as f64 / test.len() as f64);
        println!(
            "seed {seed}: test {:.4}, last loss {:.3} accuracy {:.3}",
            correct as f64 / test.len() as f64,
            last.0,
            last.1
        );
    }
    let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
    println!("{arguments:?} mean {mean:.4}");
    Ok(())
}
