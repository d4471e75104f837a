//! The accountant and the planner against reference values and against each other.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

use serde::Deserialize;
use sphinx_privacy::*;

#[derive(Deserialize)]
struct Reference {
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Row {
    sampling_rate: SamplingRate,
    noise_multiplier: NoiseMultiplier,
    steps: u64,
    delta: Delta,
    epsilon_improved: f64,
    epsilon_classical: f64,
}

fn segment(q: f64, sigma: f64, steps: u64) -> Segment {
    Segment {
        sampling_rate: SamplingRate::new(q).unwrap(),
        noise_multiplier: NoiseMultiplier::new(sigma).unwrap(),
        steps,
        overflow_probability: 0.0,
    }
}

fn epsilon(segments: &[Segment], delta: f64) -> Result<Epsilon, AccountingError> {
    let mut accountant = Accountant::new();
    for segment in segments {
        accountant.compose(segment)?;
    }
    accountant.epsilon(Delta::new(delta).unwrap())
}

fn target(epsilon: f64, delta: f64) -> Target {
    Target::new(epsilon, Delta::new(delta).unwrap()).unwrap()
}

/// The rows are values of Google's dp_accounting; see the file. At fractional orders it adds the
/// alternating tail of the series by absolute value, an upper bound; ours is the value itself
/// (compared with quadrature in `renyi.rs`), hence never larger, and smaller by up to 2·10⁻⁴ at σ =
/// 0.7.
#[test]
fn agrees_with_every_reference_row() {
    let reference: Reference =
        serde_json::from_str(include_str!("data/dp_reference.json")).unwrap();
    assert_eq!(reference.rows.len(), 22);
    let (mut largest, mut smallest) = (f64::MIN, f64::MAX);
    for row in &reference.rows {
        let segment = segment(row.sampling_rate.get(), row.noise_multiplier.get(), row.steps);
        let got = epsilon(&[segment], row.delta.get()).unwrap();
        for excess in
            [got.rdp / row.epsilon_improved - 1.0, got.classical / row.epsilon_classical - 1.0]
        {
            largest = largest.max(excess);
            smallest = smallest.min(excess);
        }
    }
    println!("relative deviation from the reference: {smallest:e} to {largest:e}");
    assert!(largest < 1e-12, "{largest:e}");
    assert!(smallest > -2.5e-4, "{smallest:e}");
}

#[test]
fn composition_does_not_depend_on_how_steps_are_cut_or_ordered() {
    let (a, b) = (segment(0.03, 1.5, 100), segment(0.01, 0.9, 500));
    let half = Segment { steps: 50, ..a };
    let whole = epsilon(&[a, b], 1e-5).unwrap();
    let cut = epsilon(&[half, b, half], 1e-5).unwrap();
    assert!((whole.rdp - cut.rdp).abs() < 1e-12 * whole.rdp);
    // More than either part, less than their sum.
    let (ea, eb) = (epsilon(&[a], 1e-5).unwrap(), epsilon(&[b], 1e-5).unwrap());
    assert!(whole.rdp > ea.rdp.max(eb.rdp));
    assert!(whole.rdp < ea.rdp + eb.rdp);
}

#[test]
fn overflow_is_taken_from_delta() {
    let plain = segment(0.03, 1.5, 100);
    let leaky = Segment { overflow_probability: 4e-8, ..plain };
    assert_eq!(epsilon(&[leaky], 1e-5), epsilon(&[plain], 1e-5 - 100.0 * 4e-8));
    let error = epsilon(&[Segment { overflow_probability: 1e-6, ..plain }], 1e-5).unwrap_err();
    assert!(matches!(error, AccountingError::DeltaExhausted { delta: 1e-5, .. }), "{error}");
}

#[test]
fn steps_within_is_the_last_step_that_fits() {
    let kind = Segment { overflow_probability: 1e-9, ..segment(0.03, 1.5, 1) };
    let target = target(2.0, 1e-5);
    let mut spent = Accountant::new();
    spent.compose(&segment(0.01, 1.0, 300)).unwrap();
    let steps = spent.steps_within(&kind, target).unwrap();
    assert!(steps > 10);
    let after = |steps| {
        let mut accountant = spent.clone();
        accountant.compose(&Segment { steps, ..kind }).unwrap();
        accountant.epsilon(target.delta()).unwrap().rdp
    };
    assert!(after(steps) <= 2.0 && after(steps + 1) > 2.0);
    spent.compose(&Segment { steps: steps + 1, ..kind }).unwrap();
    assert_eq!(spent.steps_within(&kind, target), Ok(0));
}

#[test]
fn rejects_steps_and_probabilities_out_of_range() {
    let one = segment(0.1, 1.0, 1);
    for steps in [0, u64::MAX] {
        let error = epsilon(&[Segment { steps, ..one }], 1e-5).unwrap_err();
        assert_eq!(error, AccountingError::Steps { got: steps });
    }
    let error = epsilon(&[Segment { overflow_probability: -0.5, ..one }], 1e-5).unwrap_err();
    assert_eq!(error, AccountingError::OverflowProbability { got: -0.5 });
}

#[test]
fn rejects_stating_an_epsilon_after_unproven_steps() {
    let mut accountant = Accountant::new();
    accountant.compose(&segment(0.1, 10.0, 1)).unwrap();
    accountant.compose_unproven(3);
    let none = AccountingError::NoneProven { steps: 3 };
    assert_eq!(accountant.epsilon(Delta::new(1e-5).unwrap()), Err(none));
    assert_eq!(accountant.steps_within(&segment(0.1, 10.0, 1), target(2.0, 1e-5)), Err(none));
}

#[test]
fn rejects_stating_an_epsilon_under_next_to_no_noise() {
    for sigma in [1e-155, 1e-200, 5e-324] {
        let error = epsilon(&[segment(0.1, sigma, 1)], 1e-5).unwrap_err();
        assert_eq!(error, AccountingError::Infinite, "{sigma:e}");
        let left = Accountant::new().steps_within(&segment(0.1, sigma, 1), target(2.0, 1e-5));
        assert_eq!(left, Ok(0), "{sigma:e}");
    }
    // Little noise that can still be accounted.
    assert!(epsilon(&[segment(0.1, 1e-3, 1)], 1e-5).unwrap().rdp > 1e5);
}

fn request() -> PlanRequest {
    PlanRequest {
        target: target(2.0, 1e-5),
        examples: 60_000,
        expected_batch: None,
        blocks: 1,
        copies: 1,
        epochs: 12.0,
    }
}

#[test]
fn plans_with_the_least_noise_that_reaches_the_target() {
    let start = std::time::Instant::now();
    let plan = PrivacyPlan::solve(&request()).unwrap();
    println!("planned in {:?}: {plan:?}", start.elapsed());
    assert_eq!(plan.segment.steps, (12.0 * 60_000.0 / plan.expected_batch as f64).ceil() as u64);
    assert_eq!(plan.capacity, 2048);
    assert!(plan.epsilon.proven() <= 2.0 && plan.epsilon.proven() > 1.995);
    assert!(plan.epsilon.classical > plan.epsilon.rdp && plan.epsilon.rdp > 2.1);
    assert_eq!(plan.warning(), None);
    let sigma = plan.segment.noise_multiplier.get() - 1.0 / 4096.0;
    let less = Segment { noise_multiplier: NoiseMultiplier::new(sigma).unwrap(), ..plan.segment };
    assert!(epsilon(&[less], 1e-5).unwrap().proven() > 2.0);
    let left = Accountant::new().steps_within(&plan.segment, plan.target).unwrap();
    assert!(left >= plan.segment.steps);
}

#[test]
fn warns_when_delta_exceeds_one_over_the_examples() {
    let plan = PrivacyPlan::solve(&PlanRequest { target: target(2.0, 1e-4), ..request() }).unwrap();
    assert_eq!(plan.warning(), Some(DeltaWarning { delta: 1e-4, examples: 60_000 }));
}

#[test]
fn rejects_plans_of_nothing_or_beyond_the_data() {
    let refuse = |request| PrivacyPlan::solve(&request).unwrap_err();
    assert_eq!(refuse(PlanRequest { examples: 0, ..request() }), PlanError::NoExamples);
    for got in [0, 60_001] {
        let error = refuse(PlanRequest { expected_batch: Some(got), ..request() });
        assert_eq!(error, PlanError::Batch { got, examples: 60_000 });
    }
    let error = refuse(PlanRequest { blocks: 0, ..request() });
    assert_eq!(error, PlanError::Blocks { expected: 1, blocks: 0, copies: 1 });
    let error = refuse(PlanRequest { expected_batch: Some(2049), ..request() });
    assert_eq!(error, PlanError::Blocks { expected: 2049, blocks: 1, copies: 1 });
    for got in [0.0, -1.0, f64::INFINITY] {
        assert_eq!(refuse(PlanRequest { epochs: got, ..request() }), PlanError::Epochs { got });
    }
    assert!(matches!(
        refuse(PlanRequest { epochs: f64::NAN, ..request() }),
        PlanError::Epochs { .. }
    ));
}

#[test]
fn chooses_the_largest_batch_that_leaves_delta_alone() {
    for epochs in [1.0, 20.0, 400.0] {
        let request = PlanRequest { epochs, ..request() };
        let plan = PrivacyPlan::solve(&request).unwrap();
        let overflow = plan.segment.steps as f64 * plan.segment.overflow_probability;
        assert!(overflow <= 1e-7, "{epochs}: {overflow:e}");
        assert_eq!(
            plan.expected_batch,
            largest_expected_batch(60_000, 2048, epochs, plan.target.delta())
        );
        let same = PlanRequest { expected_batch: Some(plan.expected_batch), ..request };
        assert_eq!(PrivacyPlan::solve(&same), Ok(plan));
        let smaller = PlanRequest { expected_batch: Some(1024), ..request };
        assert_eq!(PrivacyPlan::solve(&smaller).unwrap().expected_batch, 1024);
    }
}

/// Copies take slots: what is drawn beyond the fewer examples that fit is dropped, and δ pays for
/// that.
#[test]
fn plans_in_copies_leave_room_for_fewer_examples() {
    let delta = request().target.delta();
    for (copies, capacity) in [(2, 1024), (4, 512), (8, 256), (16, 128)] {
        let plan = PrivacyPlan::solve(&PlanRequest { copies, ..request() }).unwrap();
        assert_eq!(plan.capacity, capacity);
        assert_eq!(plan.expected_batch, largest_expected_batch(60_000, capacity, 12.0, delta));
        let Segment { sampling_rate, overflow_probability: probability, steps, .. } = plan.segment;
        assert_eq!(probability, overflow_probability(60_000, sampling_rate, capacity));
        assert!(probability > 0.0 && steps as f64 * probability <= 1e-7, "{copies}: {probability}");
        // As many examples in more blocks: the same training.
        let wide = PlanRequest { copies, blocks: copies, ..request() };
        assert_eq!(PrivacyPlan::solve(&wide), PrivacyPlan::solve(&request()));
    }
}

#[test]
fn rejects_copies_that_do_not_fill_a_block_or_do_not_fit() {
    let refuse = |request| PrivacyPlan::solve(&request).unwrap_err();
    for copies in [0, 3, 4096] {
        let error = refuse(PlanRequest { copies, ..request() });
        assert_eq!(error, PlanError::Copies { got: copies });
    }
    let error = refuse(PlanRequest { expected_batch: Some(300), copies: 8, ..request() });
    assert_eq!(error, PlanError::Blocks { expected: 300, blocks: 1, copies: 8 });
    assert!(error.to_string().ends_with("2048 slots in 8 copies of each example"), "{error}");
    let error = refuse(PlanRequest { expected_batch: Some(250), copies: 8, ..request() });
    assert!(matches!(error, PlanError::Overflow { copies: 8, .. }), "{error}");
}

#[test]
fn rejects_batches_that_overflow_too_often() {
    let refused = |got, epochs| {
        let request = PlanRequest { expected_batch: Some(got), epochs, ..request() };
        PrivacyPlan::solve(&request).unwrap_err()
    };
    let error = refused(2000, 12.0);
    assert!(
        matches!(error, PlanError::Overflow { expected: 2000, blocks: 1, steps: 360, .. }),
        "{error}"
    );
    // What is refused in a long training fits a short one; the error says what fits.
    let PlanError::Overflow { largest, .. } = refused(1795, 400.0) else { panic!() };
    assert_eq!(largest, largest_expected_batch(60_000, 2048, 400.0, Delta::new(1e-5).unwrap()));
    let short = PlanRequest { expected_batch: Some(1795), epochs: 1.0, ..request() };
    assert!(PrivacyPlan::solve(&short).is_ok());
}

#[test]
fn rejects_more_blocks_than_the_data_fills() {
    let most = PlanRequest { blocks: 31, ..request() };
    assert_eq!(PrivacyPlan::solve(&most).unwrap().expected_batch, 60_000);
    for (blocks, copies, most) in [(32, 1, 31), (1_000_000_000, 1, 31), (u64::MAX, 16, 470)] {
        let error = PrivacyPlan::solve(&PlanRequest { blocks, copies, ..request() }).unwrap_err();
        assert_eq!(error, PlanError::ManyBlocks { got: blocks, most, copies, examples: 60_000 });
    }
    assert_eq!(check_blocks(1, 4096, 60_000), Err(PlanError::Copies { got: 4096 }));
}

#[test]
fn plans_for_any_number_of_examples_at_once_or_refuses() {
    let most = 1_000_000_000;
    let huge = PlanRequest { examples: most, blocks: 300_000, ..request() };
    let plan = PrivacyPlan::solve(&huge).unwrap();
    let room = plan.capacity - plan.expected_batch;
    assert!((70_000..120_000).contains(&room), "about six deviations: {room}");
    for got in [most + 1, 1_000_000_000_000_000_000, u64::MAX] {
        let request = PlanRequest { examples: got, blocks: u64::MAX, ..request() };
        assert_eq!(PrivacyPlan::solve(&request), Err(PlanError::Examples { got }));
    }
}

#[test]
fn rejects_targets_out_of_reach() {
    let hard = PlanRequest { target: target(1e-6, 1e-14), epochs: 1e6, ..request() };
    let hard = PlanRequest { expected_batch: Some(1000), ..hard };
    let error = PrivacyPlan::solve(&hard).unwrap_err();
    assert!(matches!(error, PlanError::Unreachable { .. }), "{error}");
}
