//! A tool of the lab, not a pattern to copy.
//!
//! Tries hyper-parameters on the clear-text twin of an encrypted training: same loop, same noise,
//! no services.
//!
//! `cargo run --release -p sphinx-client --example search -- [KEY=VALUE]... [-- [KEY=VALUE]...]...`
//!
//! One configuration after another, separated by `--`; each takes over what it does not change of
//! the one before. Prints the test accuracy of every seed and the mean of every configuration. Keys
//! and what they are otherwise: network=sphinx-mnist (a built-in one or a TOML file), epochs=10,
//! epsilon=3 (0 for no privacy), clip=0.1, lr=4, momentum=0.9, nesterov=0, optimizer=sgd (or adam),
//! floor=0.05 (of the cosine decay), warmup=0, averaging=0 (decay), blocks=1 (of 2048 slots per
//! step), batch=0 (expected; 0 for what the blocks hold), augment=1 (copies of each image), shift=1
//! (pixels by which copies are moved), seeds=1, first=0 (first seed), data= (directory of an
//! MNIST-format set; bundled MNIST; the first configuration's counts).
use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_client::data::TrainTest;
use sphinx_client::data::sources::mnist;
use sphinx_client::{
    Augmentation, ClearTwin, Inputs, Privacy, TrainingOptions, View, train_with_inputs,
};
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};

const DEFAULTS: [(&str, &str); 18] = [
    ("network", "sphinx-mnist"),
    ("epochs", "10"),
    ("epsilon", "3"),
    ("clip", "0.1"),
    ("lr", "4"),
    ("momentum", "0.9"),
    ("nesterov", "0"),
    ("optimizer", "sgd"),
    ("floor", "0.05"),
    ("warmup", "0"),
    ("averaging", "0"),
    ("blocks", "1"),
    ("batch", "0"),
    ("augment", "1"),
    ("shift", "1"),
    ("seeds", "1"),
    ("first", "0"),
    ("data", ""),
];

/// One configuration.
#[derive(Clone)]
struct Configuration(BTreeMap<&'static str, String>);

impl Configuration {
    fn set(&mut self, argument: &str) -> Result<(), Box<dyn Error>> {
        let (key, value) =
            argument.split_once('=').ok_or_else(|| format!("{argument} is no KEY=VALUE"))?;
        let known = self.0.get_mut(key).ok_or_else(|| format!("there is no {key}"))?;
        value.clone_into(known);
        Ok(())
    }

    fn text(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }

    fn number(&self, key: &str) -> Result<f64, Box<dyn Error>> {
        Ok(self.text(key).parse().map_err(|_| format!("{key} is no number"))?)
    }

    fn spec(&self) -> Result<NetworkSpec, Box<dyn Error>> {
        let name = self.text("network");
        match NetworkSpec::builtin(name) {
            Some(spec) => Ok(spec),
            None => Ok(NetworkSpec::from_toml(&std::fs::read_to_string(name)?)?),
        }
    }

    fn options(&self) -> Result<TrainingOptions, Box<dyn Error>> {
        let epsilon = self.number("epsilon")?;
        let privacy = if epsilon > 0.0 {
            let target = Target::new(epsilon, Delta::new(1e-5)?)?;
            Privacy::Budget { target, clipping_norm: self.number("clip")? as f32 }
        } else {
            Privacy::None
        };
        let momentum = self.number("momentum")? as f32;
        let nesterov = self.number("nesterov")? > 0.0;
        let optimizer = match self.text("optimizer") {
            "adam" => OptimizerSpec::ADAM,
            "sgd" => OptimizerSpec::Sgd { momentum, nesterov },
            other => return Err(format!("there is no optimizer {other}").into()),
        };
        let (copies, shift) = (self.number("augment")? as u64, self.number("shift")? as u8);
        let positive = |value: f64| (value > 0.0).then_some(value);
        Ok(TrainingOptions {
            epochs: self.number("epochs")?,
            blocks: self.number("blocks")? as u64,
            batch: positive(self.number("batch")?).map(|batch| batch as u64),
            optimizer,
            learning_rate: self.number("lr")? as f32,
            decay: Decay::Cosine { floor: self.number("floor")? as f32 },
            warmup: self.number("warmup")? as u64,
            averaging: positive(self.number("averaging")?).map(|decay| decay as f32),
            augmentation: (copies != 1).then_some(Augmentation { copies, shift }),
            privacy,
        })
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let mut configuration =
        Configuration(DEFAULTS.into_iter().map(|(key, value)| (key, value.to_owned())).collect());
    let data = arguments.iter().take_while(|argument| *argument != "--");
    let data = data.filter_map(|argument| argument.strip_prefix("data=")).last();
    let TrainTest { train, test } =
        data.map_or_else(sphinx_mnist::load, |directory| mnist::open(Path::new(directory)))?;
    // Features of the last network's stem.
    let mut cached: Option<(Plan, Inputs<'_>, Inputs<'_>)> = None;
    for arguments in arguments.split(|argument| argument == "--") {
        arguments.iter().try_for_each(|argument| configuration.set(argument))?;
        let spec = configuration.spec()?;
        let plan = Plan::new(&spec)?;
        let inputs = match cached.take() {
            Some((other, train, test)) if other.stem == plan.stem => (train, test),
            _ => (Inputs::new(&plan, &train)?, Inputs::new(&plan, &test)?),
        };
        search(&configuration, &spec, &plan, &inputs)?;
        println!("{} -> done", arguments.join(" "));
        cached = Some((plan, inputs.0, inputs.1));
    }
    Ok(())
}

/// Trains with every seed.
fn search(
    configuration: &Configuration,
    spec: &NetworkSpec,
    plan: &Plan,
    (train, test): &(Inputs<'_>, Inputs<'_>),
) -> Result<(), Box<dyn Error>> {
    let options = configuration.options()?;
    let rule = options.rule(train.data().len())?;
    let first = configuration.number("first")? as u64;
    let mut accuracies = Vec::new();
    for seed in first..first + configuration.number("seeds")? as u64 {
        let started = Instant::now();
        let parameters = initial_parameters(plan, &mut ChaCha20Rng::seed_from_u64(seed));
        let mut twin = ClearTwin::new(plan, parameters, rule)?;
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut last = (0, 0.0, 0.0);
        train_with_inputs(&mut twin, spec, train, &options, bytes, &mut |progress| {
            last = (progress.steps, progress.loss, progress.accuracy);
            true
        })?;
        let (bits, bound) = (DEFAULT_ACTIVATION_BITS, spec.bias_bound);
        let clear = QuantisedNetwork::new(plan, twin.parameters(), bound, bits)?;
        let accuracy = accuracy(&clear, test);
        accuracies.push(accuracy);
        let (steps, loss, batch) = last;
        println!(
            "seed {seed}: test {accuracy:.4}, {steps} steps in {:.0} s, last loss {loss:.3} accuracy {batch:.3}",
            started.elapsed().as_secs_f64()
        );
    }
    let count = accuracies.len() as f64;
    let mean = accuracies.iter().sum::<f64>() / count;
    let squares: f64 = accuracies.iter().map(|accuracy| (accuracy - mean).powi(2)).sum();
    let deviation = (squares / (count - 1.0).max(1.0)).sqrt();
    println!("mean {mean:.4} deviation {deviation:.4}");
    Ok(())
}

/// Share of test images that the quantised network recognises.
fn accuracy(network: &QuantisedNetwork, test: &Inputs<'_>) -> f64 {
    let labels = test.data().labels();
    let correct = |(example, &label): (usize, &u8)| -> Option<usize> {
        let logits = network.classify(&test.example(View::of(example)).ok()?).ok()?;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?.0;
        Some(usize::from(best == usize::from(label)))
    };
    let correct: usize = labels.par_iter().enumerate().filter_map(correct).sum();
    correct as f64 / labels.len().max(1) as f64
}
