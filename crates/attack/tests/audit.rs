//! Fast versions of the audit: the mechanism keeps what it claims, and the audit finds those that
//! do not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, dead_code, reason = "tests")]

#[path = "../examples/audit/gradient_space.rs"]
mod gradient_space;
#[path = "../examples/audit/neighbours.rs"]
mod neighbours;
#[path = "../examples/audit/steps.rs"]
mod steps;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_attack::tradeoff;
use sphinx_network::{Plan, StageParameters, initial_parameters};

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

/// Ten thousand with and as many without, through sampler and mechanism. The bound on ε is far
/// below the claim for both.
#[test]
fn noise_a_tenth_too_small_is_flagged_by_the_whole_curve_and_the_right_noise_is_not() {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    for epsilon in [3.0, 8.0] {
        let claim = Claim::single_step(epsilon).unwrap();
        let sigma = claim.plan.segment.noise_multiplier.get();
        let mut audited = |claim: &Claim| {
            let outcome = claim.run(20_000, &mut rng).unwrap();
            let probability = tradeoff::probability(&outcome.scores, &outcome.inside, sigma);
            (probability, outcome.trials_bound())
        };
        let (right, small) = (audited(&claim), audited(&claim.weakened(1.0 / 0.9)));
        println!("claimed {epsilon}: right noise {right:?}, 0.9 times {small:?}");
        assert!(right.0 > 0.05 && small.0 < 0.05, "{right:?} {small:?}");
        assert!(small.1 < epsilon, "{small:?}");
    }
}

/// A network with 127 examples, trained at the default learning rate of `sphinx train`.
fn neighbours_of(variant: Variant) -> (Neighbours, Vec<StageParameters>) {
    let data = sphinx_mnist::load().unwrap().train;
    let plan = Plan::new(&steps::small_network()).unwrap();
    let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    (Neighbours::new(plan, &data, 127, (0.1, 24.0), variant).unwrap(), initial)
}

#[test]
fn exact_biases_move_later_sums_by_more_than_the_clipping_norm() {
    let distances = |variant| {
        let (data, initial) = neighbours_of(variant);
        neighbours::sensitivity(&data, &initial, 3).unwrap()
    };
    for distance in distances(Variant::Ours) {
        assert!(distance.all > 0.5 && distance.all <= 1.001, "{}", distance.all);
    }
    let paper = distances(Variant::Paper);
    // The first sums are computed on the same biases.
    assert!(paper[0].weights <= 1.001 && paper[1].weights > 1.5, "{}", paper[1].weights);
}

#[test]
fn rejects_the_claim_that_ignores_exact_biases() {
    let (claim, steps, trainings) = (2.0, 10, 400);
    let noise = neighbours::noise(claim, steps).unwrap();
    let bound = |variant| {
        let (data, initial) = neighbours_of(variant);
        neighbours::epsilon_bound(&data, &initial, noise, steps, trainings).unwrap()
    };
    let (ours, paper) = (bound(Variant::Ours), bound(Variant::Paper));
    assert!(ours < claim, "{ours}");
    assert!(paper > claim, "{paper}");
}
