//! Prints what the client's part of a training step costs, and a whole step in the clear.
//!
//! `cargo run --release -p sphinx-gradient --example step_cost [NETWORK]`

use std::error::Error;
use std::sync::Arc;
use std::time::Instant;

use rand::RngExt;
use rand_chacha::ChaCha12Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_gradient::{BlockPass, ClearStage, Clipping, Tensor, activate};
use sphinx_network::{Activation, NetworkSpec, Plan, StageParameters, initial_parameters};

const SLOTS: usize = 2048;
const REPETITIONS: usize = 7;

fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).unwrap_or_else(|| "sphinx-mnist".to_owned());
    let spec = NetworkSpec::builtin(&name).ok_or("no such built-in network")?;
    let plan = Arc::new(Plan::new(&spec)?);
    let mut rng = ChaCha12Rng::seed_from_u64(1);
    let parameters = initial_parameters(&plan, &mut rng);
    let pixels = (0..plan.input.len() * SLOTS).map(|_| rng.random::<f32>()).collect();
    let images = Tensor::new(plan.input.len(), SLOTS, pixels)?;
    let labels: Vec<Option<u8>> =
        (0..SLOTS).map(|slot| (slot < 1790).then_some((slot % plan.classes) as u8)).collect();
    let layers: Vec<ClearStage> = plan.stages.iter().map(ClearStage::new).collect();

    println!(
        "{name}, {SLOTS} slots, {} threads, best of {REPETITIONS}",
        rayon::current_num_threads()
    );
    time_tanh(&plan, &images)?;
    let mut best: Vec<(&str, f64)> = Vec::new();
    for _ in 0..REPETITIONS {
        let costs = step(&plan, &images, &labels, &layers, &parameters)?;
        best = match best.is_empty() {
            true => costs,
            false => best.iter().zip(&costs).map(|(a, b)| (a.0, a.1.min(b.1))).collect(),
        };
    }
    for (part, milliseconds) in &best {
        println!("{part:<40} {milliseconds:8.2} ms");
    }
    let total: f64 = best.iter().map(|(_, milliseconds)| milliseconds).sum();
    println!("{:<40} {total:8.2} ms = {:.4} ms per slot", "whole step", total / SLOTS as f64);
    Ok(())
}

fn time_tanh(plan: &Plan, images: &Tensor) -> Result<(), Box<dyn Error>> {
    let rows = plan.stages.iter().filter(|s| !s.steps.is_empty()).map(|s| s.output.len()).sum();
    let values = images.as_slice().iter().cycle().take(rows * SLOTS).map(|x| 8.0 * x - 4.0);
    let mut tensor = Tensor::new(rows, SLOTS, values.collect())?;
    for threads in [1, rayon::current_num_threads()] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        let mut best = f64::INFINITY;
        for _ in 0..REPETITIONS {
            let start = Instant::now();
            pool.install(|| activate(Activation::Tanh, &mut tensor));
            best = best.min(start.elapsed().as_secs_f64());
        }
        println!("tanh of {rows} rows, {threads} thread(s) {:>17.2} ms", best * 1e3);
    }
    Ok(())
}

fn step(
    plan: &Arc<Plan>,
    images: &Tensor,
    labels: &[Option<u8>],
    layers: &[ClearStage],
    parameters: &[StageParameters],
) -> Result<Vec<(&'static str, f64)>, Box<dyn Error>> {
    let mut laps = Laps { last: Instant::now(), totals: Vec::new() };
    let mut pass = BlockPass::new(Arc::clone(plan), images, labels)?;
    laps.lap("client: check and copy images");
    for (stage, layer) in layers.iter().enumerate() {
        let z = layer.forward(&parameters[stage], pass.input(stage)?)?;
        laps.lap("server's part in the clear: forward");
        pass.absorb(stage, z)?;
        laps.lap("client: activations, pools, loss");
    }
    for (stage, layer) in layers.iter().enumerate().skip(1).rev() {
        let delta = pass.delta(stage)?;
        laps.lap("client: normalised deltas");
        let e = layer.backward(&parameters[stage], &delta.tensor)?;
        laps.lap("server's part in the clear: backward");
        pass.absorb_backward(stage, e)?;
        laps.lap("client: back through pools, activations");
    }
    let gradient = pass.clipped_gradient(Clipping::Flat(1.0))?;
    laps.lap("client: clipped gradient");
    assert_eq!(gradient.examples, labels.iter().flatten().count());
    Ok(laps.totals)
}

struct Laps {
    last: Instant,
    totals: Vec<(&'static str, f64)>,
}

impl Laps {
    fn lap(&mut self, part: &'static str) {
        let milliseconds = self.last.elapsed().as_secs_f64() * 1e3;
        match self.totals.iter_mut().find(|(name, _)| *name == part) {
            Some((_, total)) => *total += milliseconds,
            None => self.totals.push((part, milliseconds)),
        }
        self.last = Instant::now();
    }
}
