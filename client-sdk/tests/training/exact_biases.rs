//! The paper's variant: noised weights, exact biases, no ε.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::{
    ClearTwin, ClientError, Privacy, TrainingError, TrainingOptions, train_without_ledger,
};
use sphinx_network::{Plan, StageParameters, initial_parameters};
use sphinx_privacy::ledger::{Charge, Ledger, Run};
use sphinx_privacy::{AccountingError, Target};

use crate::world::{EXAMPLES, World, blocking, delta, examples, private, small};

fn exact(epsilon: f64, clipping_norm: f32) -> TrainingOptions {
    let target = Target::new(epsilon, delta()).unwrap();
    let privacy = Privacy::ExactBiases { target, clipping_norm };
    TrainingOptions { batch: Some(1000), privacy, ..private(3.0) }
}

/// Parameters after one step on a batch that only the seed and the batch size decide.
fn one_step(options: &TrainingOptions) -> Vec<StageParameters> {
    let (spec, data) = (small(), examples(EXAMPLES));
    let plan = Plan::new(&spec).unwrap();
    let parameters = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
    let rule = options.rule(data.len()).unwrap();
    let mut twin = ClearTwin::new(&plan, parameters, rule).unwrap();
    train_without_ledger(&mut twin, &spec, &data, options, [3; 32], &mut |_| false).unwrap();
    twin.parameters().to_vec()
}

#[test]
fn noise_and_clipping_reach_the_weights_alone() {
    let biases = |stages: &[StageParameters]| -> Vec<Vec<f32>> {
        stages.iter().map(|stage| stage.biases.clone()).collect()
    };
    let first = one_step(&exact(8.0, 1.0));
    assert!(biases(&first).iter().flatten().any(|bias| *bias != 0.0));
    for other in [exact(2.0, 1.0), exact(8.0, 0.01)] {
        let other = one_step(&other);
        assert!(biases(&first) == biases(&other), "noise or clipping touched the biases");
        assert!(first[0].weights != other[0].weights && first[1].weights != other[1].weights);
    }
    let target = |epsilon| Target::new(epsilon, delta()).unwrap();
    let noised = |epsilon| TrainingOptions {
        privacy: Privacy::Budget { target: target(epsilon), clipping_norm: 1.0 },
        ..exact(epsilon, 1.0)
    };
    assert!(biases(&one_step(&noised(8.0))) != biases(&one_step(&noised(2.0))));
}

#[tokio::test(flavor = "multi_thread")]
async fn one_unproven_step_leaves_no_guarantee_for_good() {
    let world = World::with_model().await;
    let step = |options| world.client.train_model(world.request(options), |_| false);
    assert!(step(private(4.0)).await.unwrap().epsilon.is_some());
    let bare = step(exact(8.0, 1.0)).await.unwrap();
    assert_eq!((bare.steps, bare.epsilon), (1, None));
    // With noise again: refused, and still none after another step without.
    let error = step(private(4.0)).await.unwrap_err();
    let expected = AccountingError::NoneProven { steps: 1 };
    assert!(
        matches!(&error, ClientError::Training(TrainingError::Accounting(got)) if *got == expected),
        "{error}"
    );
    assert_eq!(step(exact(8.0, 1.0)).await.unwrap().epsilon, None);
    let path = world.ledger();
    blocking(move || {
        let ledger = Ledger::open_model(&path, "m").unwrap();
        assert_eq!(ledger.runs()[1], Run { charge: Charge::Unproven, steps: 2 });
        assert_eq!(ledger.spent(delta()), Err(AccountingError::NoneProven { steps: 2 }));
    })
    .await;
}
