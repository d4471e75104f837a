//! ε by privacy loss distributions, through the accountant, the planner and the ledger.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

use std::time::{Duration, Instant};

use serde::Deserialize;
use sphinx_privacy::*;

#[derive(Deserialize)]
struct Reference {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    sampling_rate: f64,
    noise_multiplier: f64,
    steps: u64,
    delta: f64,
    epsilon_pld: f64,
    epsilon_rdp: f64,
}

fn segment(q: f64, sigma: f64, steps: u64) -> Segment {
    Segment {
        sampling_rate: SamplingRate::new(q).unwrap(),
        noise_multiplier: NoiseMultiplier::new(sigma).unwrap(),
        steps,
        overflow_probability: 0.0,
    }
}

fn accountant(segments: &[Segment]) -> Accountant {
    let mut accountant = Accountant::new();
    segments.iter().for_each(|segment| accountant.compose(segment).unwrap());
    accountant
}

fn delta() -> Delta {
    Delta::new(1e-5).unwrap()
}

fn target(epsilon: f64) -> Target {
    Target::new(epsilon, delta()).unwrap()
}

/// The rows are values of Google's dp_accounting; see the file. They are rounded up on a grid of
/// 1e-4, hence larger by up to 9e-5 of it after ten thousand steps.
#[test]
fn agrees_with_every_reference_row() {
    let reference: Reference =
        serde_json::from_str(include_str!("data/dp_pld_reference.json")).unwrap();
    assert_eq!(reference.rows.len(), 22);
    let (mut largest, mut smallest, mut slowest) = (f64::MIN, f64::MAX, Duration::ZERO);
    for row in &reference.rows {
        let accountant = accountant(&[segment(row.sampling_rate, row.noise_multiplier, row.steps)]);
        let start = Instant::now();
        let epsilon = accountant.epsilon(Delta::new(row.delta).unwrap()).unwrap();
        slowest = slowest.max(start.elapsed());
        let excess = epsilon.pld.unwrap() / row.epsilon_pld - 1.0;
        largest = largest.max(excess);
        smallest = smallest.min(excess);
        assert_eq!(epsilon.proven(), epsilon.pld.unwrap());
        assert!((epsilon.rdp / row.epsilon_rdp - 1.0).abs() < 3e-4);
    }
    println!(
        "relative deviation from the reference: {smallest:e} to {largest:e}; at most {slowest:?}"
    );
    assert!(largest < 2e-3, "{largest:e}");
    assert!(smallest > -1e-3, "{smallest:e}");
}

#[test]
fn overflow_is_taken_from_delta() {
    let plain = segment(0.03, 1.5, 100);
    let leaky = accountant(&[Segment { overflow_probability: 4e-8, ..plain }]);
    let less = Delta::new(1e-5 - 100.0 * 4e-8).unwrap();
    assert_eq!(leaky.epsilon_by_loss(delta()), accountant(&[plain]).epsilon_by_loss(less));
}

#[test]
fn parameters_chosen_later_are_proven_by_renyi_divergences_alone() {
    let (first, second) = (segment(0.03, 1.5, 300), segment(0.03, 1.2, 100));
    let fixed = accountant(&[first, second]).epsilon(delta()).unwrap();
    let mut chosen = Accountant::new();
    chosen.compose_chosen(&first).unwrap();
    let before = chosen.epsilon(delta()).unwrap();
    assert!(!before.adaptive && before.proven() == before.pld.unwrap());
    chosen.compose_chosen(&second).unwrap();
    let after = chosen.epsilon(delta()).unwrap();
    assert!(after.adaptive && !fixed.adaptive);
    assert_eq!((after.pld, after.rdp, after.classical), (fixed.pld, fixed.rdp, fixed.classical));
    assert_eq!((after.proven(), fixed.proven()), (fixed.rdp, fixed.pld.unwrap()));
    // More steps of the same are a longer composition of the same, whoever decides how many.
    let mut more = Accountant::new();
    (0..2).for_each(|_| more.compose_chosen(&first).unwrap());
    let longer = accountant(&[segment(0.03, 1.5, 600)]).epsilon(delta()).unwrap();
    assert_eq!(more.epsilon(delta()), Ok(longer));
}

#[test]
fn further_steps_are_counted_by_what_is_proven() {
    let first = segment(0.03, 1.5, 300);
    let spent = accountant(&[first]);
    // The same parameters: as many as privacy loss distributions allow.
    let same = spent.steps_within(&first, target(2.0)).unwrap();
    let at = |steps| accountant(&[segment(0.03, 1.5, 300 + steps)]).epsilon(delta()).unwrap();
    assert!(at(same).proven() <= 2.0 && at(same + 1).proven() > 2.0 && at(same).rdp > 2.1);
    // Others: as many as Rényi divergences do.
    let other = segment(0.02, 1.4, 1);
    let steps = spent.steps_within(&other, target(2.0)).unwrap();
    let after = |steps| accountant(&[first, Segment { steps, ..other }]).epsilon(delta()).unwrap();
    assert!(after(steps).rdp <= 2.0 && after(steps + 1).rdp > 2.0);
    assert_eq!(spent.steps_within(&first, target(0.5)), Ok(0));
}

#[test]
fn where_no_grid_is_fine_enough_renyi_divergences_are_left() {
    let long = accountant(&[segment(1e-3, 100.0, 100_000_000)]);
    let error = long.epsilon_by_loss(delta()).unwrap_err();
    assert!(matches!(error, AccountingError::Loss(LossError::Grid { .. })), "{error}");
    let epsilon = long.epsilon(delta()).unwrap();
    assert_eq!((epsilon.pld, epsilon.proven()), (None, epsilon.rdp));
    let more = long.steps_within(&segment(1e-3, 100.0, 1), target(0.5)).unwrap();
    let after = accountant(&[segment(1e-3, 100.0, 100_000_000 + more)]);
    assert!(after.epsilon(delta()).unwrap().proven() <= 0.5 && more > 1_000_000);
}

fn request(epsilon: f64, epochs: f64, blocks: u64) -> PlanRequest {
    let (target, examples) = (target(epsilon), 60_000);
    PlanRequest { target, examples, expected_batch: None, blocks, copies: 1, epochs }
}

/// The smallest noise that Rényi divergences allow for a plan, to 1/4096.
fn planned_by_renyi(plan: &PrivacyPlan) -> Segment {
    let segment = |index: u64| {
        let noise_multiplier = NoiseMultiplier::new(index as f64 / 4096.0).unwrap();
        Segment { noise_multiplier, ..plan.segment }
    };
    let rdp = |index| accountant(&[segment(index)]).epsilon(delta()).unwrap().rdp;
    let low = (plan.segment.noise_multiplier.get() * 4096.0) as u64;
    let mut range = (low, 2 * low);
    while range.1 - range.0 > 1 {
        let middle = (range.0 + range.1) / 2;
        if rdp(middle) > plan.target.epsilon() { range.0 = middle } else { range.1 = middle }
    }
    segment(range.1)
}

/// What an ε of 1, 2 and 3 costs in noise, by Rényi divergences and now, for the schedules of the
/// recipes and the default. The bounds on time leave room for a busy machine.
#[test]
fn plans_need_less_noise_and_take_no_time() {
    for (epochs, blocks) in [(10.0, 1), (30.0, 2), (40.0, 2)] {
        for epsilon in [1.0, 2.0, 3.0] {
            let start = Instant::now();
            let plan = PrivacyPlan::solve(&request(epsilon, epochs, blocks)).unwrap();
            let elapsed = start.elapsed();
            let Segment { sampling_rate, noise_multiplier, steps, .. } = plan.segment;
            let before = planned_by_renyi(&plan);
            let (before, noise) = (before.noise_multiplier.get(), noise_multiplier.get());
            let of_it = accountant(&[planned_by_renyi(&plan)]).epsilon(delta()).unwrap().proven();
            println!(
                "{epochs} epochs, {blocks} blocks, q {:.5}, {steps} steps, epsilon {epsilon}: sigma {noise:.4}, \
                 by RDP {before:.4}, whose epsilon is {of_it:.3}; RDP of the plan {:.3}; {elapsed:?}",
                sampling_rate.get(),
                plan.epsilon.rdp,
            );
            assert!(plan.epsilon.proven() <= epsilon && plan.epsilon.proven() > 0.999 * epsilon);
            assert!(noise < 0.96 * before && noise > 0.9 * before, "{noise} {before}");
            assert!(elapsed < Duration::from_secs(2), "{elapsed:?}");
            // What is planned is what the ledger lets pass.
            let left = Accountant::new().steps_within(&plan.segment, plan.target).unwrap();
            assert!(left >= steps, "{left} {steps}");
        }
    }
}

#[test]
fn ten_thousand_steps_are_accounted_in_less_than_a_second() {
    let kind = segment(0.01, 2.0, 10_000);
    let accountant = accountant(&[kind]);
    let start = Instant::now();
    let epsilon = accountant.epsilon(delta()).unwrap();
    let accounted = start.elapsed();
    let left = accountant.steps_within(&kind, target(3.0)).unwrap();
    println!(
        "{epsilon:?} in {accounted:?}, {left} steps left in {:?}",
        start.elapsed() - accounted
    );
    assert!(accounted < Duration::from_secs(1), "{accounted:?}");
}
