//! What trainings spend of their data set, whichever model they are of.

use std::sync::Arc;

use sphinx_client::{
    ClientError, DataAccount, TenantId, TrainingError, TrainingOptions, TrainingRequest,
};
use sphinx_privacy::Target;
use sphinx_privacy::data::{DataLedgerError, DataStatus};

use crate::world::{EXAMPLES, World, delta, examples, private};

fn account(world: &World) -> DataAccount {
    DataAccount {
        ledger: world.dir.path().join("data.redb"),
        models: world.dir.path().join("ledgers"),
        tenant: TenantId::default(),
        name: Some("lines".to_owned()),
    }
}

fn request(world: &World, options: TrainingOptions, count: usize) -> TrainingRequest {
    let (data, account) = (Arc::new(examples(count)), Some(account(world)));
    TrainingRequest { data, account, ..world.request(options) }
}

fn status(world: &World) -> DataStatus {
    account(world).open().unwrap().list(delta()).unwrap().remove(0)
}

fn cap(world: &World, epsilon: f64) {
    let cap = Target::new(epsilon, delta()).unwrap();
    account(world).open().unwrap().cap("lines", Some(cap)).unwrap();
}

async fn refused(world: &World, request: TrainingRequest) -> DataLedgerError {
    let (version, spent) = (world.version().await, world.spent());
    let progress = |_: &sphinx_client::Progress| panic!("a step was made");
    let error = world.client.train_model(request, progress).await.unwrap_err();
    assert_eq!((world.version().await, world.spent()), (version, spent));
    match error {
        ClientError::Training(TrainingError::Data(error)) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_training_counts_for_what_it_did_and_goes_on_within_its_cap() {
    let world = World::with_model().await;
    let options = || private(4.0);
    let first = request(&world, options(), EXAMPLES);
    let first = world.client.train_model(first, |step| step.step < 2).await.unwrap();
    let said = status(&world);
    assert_eq!((said.models[0].steps, said.models[0].reserved), (2, 0));
    assert_eq!(said.spent.unwrap(), first.epsilon.unwrap());
    // Planned to 8 in all: what is left fits, though the whole would not once more.
    cap(&world, 8.0);
    let rest = world.client.train_model(request(&world, options(), EXAMPLES), |_| true).await;
    let rest = rest.unwrap();
    assert!(rest.steps > 0 && !rest.budget_exhausted, "{rest:?}");
    let said = status(&world);
    assert_eq!(said.spent.unwrap(), rest.epsilon.unwrap());
    assert!(said.left().unwrap() < 0.5, "{said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_beyond_the_cap_is_refused_before_anything_leaves() {
    let world = World::with_model().await;
    let one = request(&world, private(4.0), EXAMPLES);
    world.client.train_model(one, |_| false).await.unwrap();
    cap(&world, 7.0);
    let error = refused(&world, request(&world, private(4.0), EXAMPLES)).await;
    let DataLedgerError::Cap { cap, epsilon, steps, allowed, .. } = &error else {
        panic!("{error}")
    };
    assert!(*cap == 7.0 && *epsilon > 7.0 && allowed < steps, "{error}");
    assert_eq!(status(&world).models[0].steps, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_trained_further_on_a_set_that_has_grown_and_not_on_one_that_has_shrunk() {
    let world = World::with_model().await;
    let one = request(&world, private(4.0), EXAMPLES);
    world.client.train_model(one, |_| false).await.unwrap();
    let before = status(&world);
    let more = request(&world, private(4.0), EXAMPLES + 100);
    let more = world.client.train_model(more, |_| false).await.unwrap();
    assert_eq!(more.steps, 1);
    let after = status(&world);
    assert_eq!((before.examples, after.examples), (3000, 3100));
    // Those that were there from the start have spent most.
    assert!(after.spent.unwrap().rdp > before.spent.unwrap().rdp);
    // The model's own ledger is bound to 3000 examples at least.
    let error = refused(&world, request(&world, private(4.0), EXAMPLES)).await;
    let name = "lines".to_owned();
    assert_eq!(error, DataLedgerError::Changed { name, gone: 100, had: 3100, added: 0 });
}
