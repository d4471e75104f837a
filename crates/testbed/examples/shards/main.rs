//! A tool of the lab, not a pattern to copy.
//!
//! What it costs and brings to spread the blocks of a step over replicas: costs per block; one
//! trainer with two compute threads, by one stream and by two, against two trainers with one each,
//! in turn; and what these costs come to with up to 64 replicas. Trainers are processes of their
//! own. Figures in `docs/scaling.md`.
//!
//! `cargo run --release --workspace --example shards -- [NETWORK] [ROUNDS] [STEPS]`
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool of the lab")]

mod measure;
mod simulate;

use sphinx_client::{BiasForm, Plan, Protocol};
use sphinx_network::{NetworkSpec, initial_parameters};
use sphinx_testbed::Process;
use sphinx_wire::training::{Form, Geometries};

use crate::measure::World;
use crate::simulate::Product;

/// Blocks of the steps that are compared: four together at one trainer or at each of two.
const BLOCKS: usize = 8;

fn main() {
    // In a process that was started as a service, this is the service.
    sphinx_testbed::serve_process();
    if sphinx_testbed::is_served_process() {
        return;
    }
    let argument = |at: usize| std::env::args().nth(at);
    let number = |at, or| argument(at).map_or(or, |text| text.parse().expect("a number"));
    let network = argument(1).unwrap_or_else(|| "sphinx-mnist".to_owned());
    let spec = NetworkSpec::builtin(&network).expect("a built-in network");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(run(spec, number(2, 5), number(3, 3)));
}

async fn run(spec: NetworkSpec, rounds: usize, steps: usize) {
    let products = products(&spec);
    let world = World::start(spec).await;
    let costs = world.costs(steps).await;
    println!("per block of 2048: together, client CPU ms, trainer CPU ms, kB up, kB down");
    for block in &costs.blocks {
        println!(
            "{} | {:.0} | {:.0} | {:.0} | {:.0}",
            block.together,
            block.client_cpu * 1e3,
            block.trainer_cpu * 1e3,
            block.bytes_up / 1e3,
            block.bytes_down / 1e3,
        );
    }
    let commit = costs.commit * 1e3;
    println!("a commit: {commit:.1} ms, {:.0} kB", costs.commit_bytes / 1e3);
    let (both, first, second) = (world.trainer(2), world.trainer(1), world.trainer(1));
    world.create(&both, "one").await;
    world.create(&first, "two").await;
    let sides: [(&str, &str, &[&Process]); 3] = [
        ("one replica, one stream", "one", &[&both]),
        ("one replica, two streams", "one", &[&both, &both]),
        ("two replicas", "two", &[&first, &second]),
    ];
    let mut ratios = [Vec::new(), Vec::new()];
    for round in 0..rounds {
        let mut speeds = [0.0; 3];
        for turn in 0..3 {
            let side = (round + turn) % 3;
            let (name, model, trainers) = sides[side];
            let run = world.train(trainers, model, (BLOCKS, steps)).await;
            speeds[side] = run.images_per_second;
            let cpu = [run.per_block.client_cpu, run.per_block.trainer_cpu].map(|cpu| cpu * 1e3);
            println!(
                "round {round}, {name}: {:.0} images/s; CPU ms per block: client {:.0}, trainer {:.0}",
                run.images_per_second, cpu[0], cpu[1],
            );
        }
        ratios.iter_mut().zip(speeds).for_each(|(ratios, one)| ratios.push(speeds[2] / one));
    }
    for ((name, ..), ratios) in sides.iter().zip(ratios) {
        println!("two replicas over {name}: {:.3} (median of {rounds})", median(ratios));
    }
    simulate::print(&costs, &products);
}

/// The products of a step in their order, by their shares.
fn products(spec: &NetworkSpec) -> Vec<Product> {
    let plan = Plan::new(spec).unwrap();
    let form = Form {
        profile: Protocol::default().profile_of(&plan).unwrap(),
        biases: BiasForm::default(),
    };
    let seed = &mut rand::rng();
    let weights: Vec<_> =
        initial_parameters(&plan, seed).into_iter().map(|stage| stage.weights).collect();
    let integers = Geometries::new(plan, form, spec.bias_bound).lower(&weights).unwrap();
    let forward = integers.iter().map(|stage| &stage.forward.map);
    let backward = integers.iter().rev().filter_map(|stage| stage.backward.as_ref());
    let maps: Vec<_> = forward.chain(backward.map(|product| &product.map)).collect();
    let sum = |of: &dyn Fn(usize) -> usize| (0..maps.len()).map(of).sum::<usize>() as f64;
    let (inputs, outputs) = (sum(&|at| maps[at].inputs()), sum(&|at| maps[at].outputs()));
    let work = sum(&|at| maps[at].multiply_adds());
    let shares = maps.iter().map(|map| Product {
        inputs: map.inputs() as f64 / inputs,
        outputs: map.outputs() as f64 / outputs,
        work: map.multiply_adds() as f64 / work,
    });
    shares.collect()
}

/// The middle of some values.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
}
