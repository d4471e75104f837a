//! Fast versions of the audit: the mechanism keeps what it claims, and the audit finds those that do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

#[path = "../examples/audit/gradient_space.rs"]
mod gradient_space;
#[path = "../examples/audit/neighbours.rs"]
mod neighbours;
#[path = "../examples/audit/steps.rs"]
mod steps;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::data::Mnist;
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};

use crate::gradient_space::{Claim, DIMENSION};
use crate::steps::{Neighbours, Variant};

#[test]
fn canaries_bound_epsilon_from_below_and_the_claim_holds() {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let claim = Claim::single_step(2.0).unwrap();
    let (_, one_run) = claim.run(5000, &mut rng).unwrap().one_run_bound();
    let trials = claim.run(DIMENSION, &mut rng).unwrap().trials_bound();
    for bound in [one_run, trials] {
        assert!(bound > 0.2 && bound < 2.0, "{one_run} {trials}");
    }
}

#[test]
fn rejects_noise_ten_times_too_small() {
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let claim = Claim::single_step(2.0).unwrap().weakened(10.0);
    let (_, one_run) = claim.run(5000, &mut rng).unwrap().one_run_bound();
    let trials = claim.run(DIMENSION, &mut rng).unwrap().trials_bound();
    assert!(one_run > 2.0 && trials > 2.0, "{one_run} {trials}");
}

fn mlp() -> (Plan, Vec<StageParameters>) {
    let plan = Plan::new(&NetworkSpec::builtin("mlp-100").unwrap()).unwrap();
    let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    (plan, initial)
}

#[test]
fn exact_biases_move_later_sums_by_more_than_the_clipping_norm() {
    let (data, _) = Mnist::bundled().unwrap().into_train_test();
    let (plan, initial) = mlp();
    let distances = |variant| {
        let data = Neighbours::new(plan.clone(), &data, 47, (0.1, 4.0), variant).unwrap();
        neighbours::sensitivity(&data, &initial, 3).unwrap()
    };
    for distance in distances(Variant::Ours) {
        assert!(distance.all <= 1.001, "{}", distance.all);
    }
    let paper = distances(Variant::Paper);
    assert!(paper[0].weights <= 1.001 && paper[1].weights > 1.5, "{}", paper[1].weights);
}

#[test]
fn rejects_the_claim_that_ignores_exact_biases() {
    let (data, _) = Mnist::bundled().unwrap().into_train_test();
    let (plan, initial) = mlp();
    let (steps, trainings) = (4, 150);
    let noise = neighbours::noise(2.0, steps).unwrap();
    let bound = |variant| {
        let data = Neighbours::new(plan.clone(), &data, 47, (0.1, 4.0), variant).unwrap();
        neighbours::epsilon_bound(&data, &initial, noise, steps, trainings).unwrap()
    };
    let (ours, paper) = (bound(Variant::Ours), bound(Variant::Paper));
    assert!(ours < 2.0, "{ours}");
    assert!(paper > 2.0, "{paper}");
}
