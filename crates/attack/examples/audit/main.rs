//! Audits the claimed ε from what the server sees, and shows that the audit finds mechanisms that
//! do not keep it.
//!
//! `cargo run --release -p sphinx-attack --example audit -- [gradients | curve | images |
//! neighbours]`: some minutes on two cores for all. Every bound holds with 95 % confidence.

mod gradient_space;
mod input_space;
mod neighbours;
mod steps;
mod tap;

use std::error::Error;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_attack::tradeoff;
use sphinx_network::{NetworkSpec, Plan, initial_parameters};

use crate::gradient_space::{Claim, DIMENSION, Outcome};
use crate::input_space::Experiment;
use crate::steps::{Neighbours, Variant};

fn main() -> Result<(), Box<dyn Error>> {
    let part = std::env::args().nth(1);
    let wanted = |name: &str| part.as_deref().is_none_or(|part| part == name);
    if wanted("gradients") {
        gradients()?;
    }
    if wanted("curve") {
        curve()?;
    }
    if wanted("images") {
        images()?;
    }
    if wanted("neighbours") {
        neighbours()?;
    }
    Ok(())
}

/// Canaries in gradient space.
fn gradients() -> Result<(), Box<dyn Error>> {
    println!(
        "| mechanism | claimed ε | σ | q | steps | right guesses | one run: ε ≥ | independent trials: ε ≥ |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (title, weakening, epsilons) in
        [("ours", 1.0, &[2.0, 3.0, 8.0][..]), ("noise ten times too small", 10.0, &[2.0, 3.0])]
    {
        for &epsilon in epsilons {
            let claims = [Claim::schedule(epsilon)?, Claim::single_step(epsilon)?];
            for (claim, repeats) in claims.into_iter().zip([8, 60]) {
                gradient_line(title, epsilon, &claim.weakened(weakening), repeats)?;
            }
        }
    }
    Ok(())
}

fn gradient_line(
    title: &str,
    epsilon: f64,
    claim: &Claim,
    repeats: u64,
) -> Result<(), Box<dyn Error>> {
    let segment = claim.plan.segment;
    let (guesses, one_run) = claim.run(5000, &mut ChaCha20Rng::seed_from_u64(11))?.one_run_bound();
    let many: Vec<Outcome> = (0..repeats)
        .into_par_iter()
        .map(|seed| {
            let outcome = claim.run(DIMENSION, &mut ChaCha20Rng::seed_from_u64(100 + seed));
            outcome.map_err(|error| error.to_string())
        })
        .collect::<Result<_, _>>()?;
    let mut all = Outcome { scores: Vec::new(), inside: Vec::new() };
    many.into_iter().for_each(|outcome| all.append(outcome));
    let sigma = segment.noise_multiplier.get() / claim.weakening;
    println!(
        "| {title} | {epsilon} | {sigma:.3} | {:.4} | {} | {} of {} | {one_run:.2} | {:.2} |",
        segment.sampling_rate.get(),
        segment.steps,
        guesses.right,
        guesses.made,
        all.trials_bound()
    );
    Ok(())
}

/// The whole trade-off curve of one step on all examples.
fn curve() -> Result<(), Box<dyn Error>> {
    println!("\n| claimed ε | σ | noise | trials | probability if the claim holds | ε ≥ |");
    println!("|---|---|---|---|---|---|");
    for epsilon in [3.0, 8.0] {
        for noise in [1.0, 0.9] {
            let claim = Claim::single_step(epsilon)?.weakened(1.0 / noise);
            let sigma = claim.plan.segment.noise_multiplier.get();
            let trials = 20_000;
            let outcome = claim.run(trials, &mut ChaCha20Rng::seed_from_u64(12))?;
            let probability = tradeoff::probability(&outcome.scores, &outcome.inside, sigma);
            let bound = outcome.trials_bound();
            println!(
                "| {epsilon} | {sigma:.3} | {noise} | {trials} | {probability:.1e} | {bound:.2} |"
            );
        }
    }
    Ok(())
}

/// Canaries in input space.
fn images() -> Result<(), Box<dyn Error>> {
    let data = sphinx_mnist::load()?.train;
    println!("\n| network | claimed ε | steps | canaries | right guesses | one run: ε ≥ |");
    println!("|---|---|---|---|---|---|");
    for epsilon in [2.0, 8.0] {
        let experiment = Experiment {
            spec: NetworkSpec::builtin("sphinx-mnist").ok_or("not built in")?,
            examples: 500,
            canaries: 500,
            epsilon,
            steps: 10,
            clipping_norm: 0.1,
            rate: 2.0,
        };
        let (guesses, bound) = experiment.run(&data, 1)?.one_run_bound();
        let (canaries, steps) = (experiment.canaries, experiment.steps);
        println!(
            "| sphinx-mnist | {epsilon} | {steps} | {canaries} | {} of {} | {bound:.2} |",
            guesses.right, guesses.made
        );
    }
    Ok(())
}

/// One example more or less.
fn neighbours() -> Result<(), Box<dyn Error>> {
    const STEPS: usize = 10;
    const EPSILON: f64 = 2.0;
    const EXAMPLES: usize = 127;
    const CLIPPING_NORM: f32 = 0.1;
    let data = sphinx_mnist::load()?.train;
    let initial = |plan: &Plan| initial_parameters(plan, &mut ChaCha20Rng::seed_from_u64(5));
    let small = Plan::new(&steps::small_network())?;
    let built_in = Plan::new(&NetworkSpec::builtin("sphinx-mnist").ok_or("not built in")?)?;
    // 24 is the default of `sphinx train`.
    let cases = [
        (Variant::Ours, 24.0),
        (Variant::Paper, 1.0),
        (Variant::Paper, 8.0),
        (Variant::Paper, 24.0),
    ];
    println!("\nDistance of the two sums, in clipping norms (the proof needs at most 1):\n");
    println!(
        "| network | variant | learning rate | step 1 | step 2 | step 3 | step 5 | step {STEPS} |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    for (name, plan) in [("sphinx-mnist", &built_in), ("pooled-mlp", &small)] {
        for (variant, rate) in cases {
            let data =
                Neighbours::new(plan.clone(), &data, EXAMPLES, (CLIPPING_NORM, rate), variant)?;
            let distances = neighbours::sensitivity(&data, &initial(plan), STEPS)?;
            let at = |step: usize| match variant {
                Variant::Ours => distances[step - 1].all,
                Variant::Paper => distances[step - 1].weights,
            };
            let (title, [a, b, c, d]) = (variant.title(), [1, 2, 3, 5].map(at));
            let last = at(STEPS);
            println!(
                "| {name} | {title} | {rate} | {a:.2} | {b:.2} | {c:.2} | {d:.2} | {last:.2} |"
            );
        }
    }
    println!(
        "\n| network | variant | learning rate | claimed ε | steps | trainings | found: ε ≥ |"
    );
    println!("|---|---|---|---|---|---|---|");
    let noise = neighbours::noise(EPSILON, STEPS)?;
    for (variant, rate) in cases {
        let data = Neighbours::new(small.clone(), &data, EXAMPLES, (CLIPPING_NORM, rate), variant)?;
        let trainings = 2000;
        let bound = neighbours::epsilon_bound(&data, &initial(&small), noise, STEPS, trainings)?;
        let title = variant.title();
        println!(
            "| pooled-mlp | {title} | {rate} | {EPSILON} | {STEPS} | 2 x {trainings} | {bound:.2} |"
        );
    }
    Ok(())
}
