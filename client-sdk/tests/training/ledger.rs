//! Budgets, ledgers that do not fit, and keys that do not.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::{
    ClientError, ModelLedger, Privacy, StateError, TrainingError, TrainingOptions, TrainingRequest,
};
use sphinx_privacy::ledger::{Ledger, LedgerError};
use sphinx_privacy::{AccountingError, Delta, Target};
use sphinx_secret::RootKey;

use crate::world::{EXAMPLES, World, delta, examples, open, private};

async fn refusal(world: &World, request: TrainingRequest) -> ClientError {
    let version = world.version().await;
    let progress = |_: &sphinx_client::Progress| panic!("a step was made");
    let error = world.client.train_model(request, progress).await.unwrap_err();
    assert_eq!(world.version().await, version, "{error}");
    error
}

async fn ledger_refusal(world: &World, request: TrainingRequest) -> LedgerError {
    match refusal(world, request).await {
        ClientError::Training(TrainingError::Ledger(error)) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn training_stops_when_the_budget_is_spent_and_says_so() {
    let world = World::with_model().await;
    let options = || private(4.0);
    // Interrupted after two steps, which are spent.
    let first = world.client.train_model(world.request(options()), |p| p.step < 2).await.unwrap();
    assert_eq!((first.steps, first.version, first.budget_exhausted), (2, 2, false));
    let some = first.epsilon.unwrap().proven();
    assert!(some > 0.0 && some < 8.0);

    // The same training goes on where it was, and needs no more than it was planned to.
    let second = world.client.train_model(world.request(options()), |_| true).await.unwrap();
    assert!(!second.budget_exhausted && second.steps > 0, "{second:?}");
    let all = second.epsilon.unwrap().proven();
    assert!(all > some && all <= 8.0, "{all}");
    assert_eq!(second.version, 2 + second.steps);

    // Nothing is left, whatever is asked.
    let third = world.client.train_model(world.request(options()), |_| true).await.unwrap();
    assert_eq!((third.steps, third.version, third.budget_exhausted), (0, second.version, true));
    assert_eq!(world.version().await, second.version);
    assert_eq!(world.spent(), (second.version, second.version));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_without_noise_leaves_no_guarantee() {
    let world = World::with_model().await;
    world.client.train_model(world.request(private(4.0)), |_| false).await.unwrap();
    let bare = world.client.train_model(world.request(open(1.0)), |_| false).await.unwrap();
    assert_eq!((bare.steps, bare.epsilon), (1, None));
    let error = refusal(&world, world.request(private(4.0))).await;
    let expected = AccountingError::NoneProven { steps: 1 };
    assert!(
        matches!(&error, ClientError::Training(TrainingError::Accounting(got)) if *got == expected),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_missing_or_damaged_ledger() {
    let world = World::with_model().await;
    world.client.train_model(world.request(private(4.0)), |_| false).await.unwrap();
    let good = std::fs::read(world.ledger()).unwrap();
    std::fs::remove_file(world.ledger()).unwrap();
    let error = ledger_refusal(&world, world.request(private(4.0))).await;
    assert_eq!(error, LedgerError::Missing { path: world.ledger() });

    for damaged in [b"no ledger".to_vec(), good[..good.len() / 2].to_vec(), vec![0; good.len()]] {
        std::fs::write(world.ledger(), damaged).unwrap();
        let error = ledger_refusal(&world, world.request(private(4.0))).await;
        assert!(matches!(error, LedgerError::Damaged { .. }), "{error}");
    }
    std::fs::write(world.ledger(), good).unwrap();
    world.client.train_model(world.request(private(4.0)), |_| false).await.unwrap();
    assert_eq!(world.spent(), (2, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_ledger_of_another_model_data_set_or_delta() {
    let world = World::with_model().await;
    let other = world.dir.path().join("other");
    ModelLedger::create(&other, "n", EXAMPLES, delta()).unwrap();
    let good = || world.request(private(4.0));
    let more = Arc::new(examples(EXAMPLES + 1));
    let smaller = Delta::new(1e-6).unwrap();
    let target = Target::new(8.0, smaller).unwrap();
    let privacy = Privacy::Budget { target, clipping_norm: 1.0 };
    let options = TrainingOptions { privacy, ..private(4.0) };
    for (request, expected) in [
        (TrainingRequest { ledger: other, ..good() }, "model"),
        (TrainingRequest { data: more, ..good() }, "a data set of size"),
        (TrainingRequest { delta: smaller, options, ..good() }, "delta"),
    ] {
        match ledger_refusal(&world, request).await {
            LedgerError::OtherBinding { field, .. } => assert_eq!(field, expected),
            error => panic!("{error}"),
        }
    }
}

/// Spending would be stated at one δ and bounded at another.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_budget_at_another_delta_than_the_ledgers() {
    let world = World::with_model().await;
    let target = Target::new(8.0, Delta::new(1e-4).unwrap()).unwrap();
    for privacy in [
        Privacy::Budget { target, clipping_norm: 1.0 },
        Privacy::ExactBiases { target, clipping_norm: 1.0 },
    ] {
        let options = TrainingOptions { privacy, ..private(4.0) };
        let error = refusal(&world, world.request(options)).await;
        assert!(
            matches!(
                error,
                ClientError::Training(TrainingError::OtherDelta { ledger: 1e-5, target: 1e-4 })
            ),
            "{error}"
        );
    }
    assert_eq!(world.spent(), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_an_old_copy_of_the_ledger() {
    let world = World::with_model().await;
    let step = || world.client.train_model(world.request(private(4.0)), |_| false);
    step().await.unwrap();
    let old = std::fs::read(world.ledger()).unwrap();
    step().await.unwrap();
    std::fs::write(world.ledger(), old).unwrap();
    let error = ledger_refusal(&world, world.request(private(4.0))).await;
    assert_eq!(error, LedgerError::RolledBack { ledger: 1, server: 2 });
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_ledger_that_is_in_use() {
    let world = World::with_model().await;
    let _open = Ledger::open_model(&world.ledger(), "m").unwrap();
    let error = ledger_refusal(&world, world.request(private(4.0))).await;
    assert_eq!(error, LedgerError::InUse { path: world.ledger() });
    assert!(ModelLedger::create(&world.ledger(), "m", EXAMPLES, delta()).is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_secret_key_that_is_not_the_models() {
    let world = World::with_model().await;
    world.client.train_model(world.request(private(4.0)), |_| false).await.unwrap();
    let wrong = RootKey::generate(&mut ChaCha20Rng::seed_from_u64(42));
    let request = TrainingRequest { key: Arc::new(wrong), ..world.request(private(4.0)) };
    let error = refusal(&world, request).await;
    assert!(matches!(&error, ClientError::State(StateError::Sealed { version: 1, .. })), "{error}");
    assert_eq!(world.spent(), (1, 1));
}
