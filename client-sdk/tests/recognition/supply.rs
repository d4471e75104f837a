//! Tickets that refill themselves, wait rather than fail, and follow the model.

use std::sync::Arc;
use std::time::Duration;

use sphinx_client::recognition::{Recogniser, Repair};
use sphinx_client::tickets::{STORE_PURPOSE, StoreKey, SupplyOptions, TicketStore, TicketSupply};
use sphinx_client::{ClientError, RecognitionError, TenantId};
use tempfile::TempDir;

use crate::agreement::test_images;
use crate::world::World;

pub fn store(world: &World, directory: &TempDir, recogniser: &Recogniser) -> Arc<TicketStore> {
    let (tenant, key) = (TenantId::default(), StoreKey::new(world.root.derive(STORE_PURPOSE)));
    Arc::new(recogniser.ticket_store(directory.path(), &tenant, &key).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supply_refills_itself_while_many_use_it_and_gives_back_what_is_left() {
    let mut world = World::start().await;
    let model = world.model("lola").await;
    let recogniser = world.recogniser(&model).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store(&world, &directory, &recogniser);
    let options = SupplyOptions { low_water: 1900, lease: 16, ..SupplyOptions::default() };
    let edition = recogniser.edition();
    let supply = TicketSupply::start(recogniser, Arc::clone(&store), options);
    let supply = Arc::new(supply);
    let images = Arc::new(test_images(400));
    // Nothing is there: the first ones wait for 2048. They leave less than the low-water mark: 2048
    // more come.
    let mut asking = tokio::task::JoinSet::new();
    for part in 0..4 {
        let (supply, images) = (Arc::clone(&supply), Arc::clone(&images));
        asking.spawn(async move {
            let mut all = Vec::new();
            let (single, many) = images[part * 100..(part + 1) * 100].split_at(30);
            for image in single {
                all.push(supply.infer(image).await.unwrap().logits);
            }
            let many = supply.infer_batch(many).await.unwrap();
            all.extend(many.into_iter().map(|prediction| prediction.logits));
            (part, all)
        });
    }
    while let Some(done) = asking.join_next().await {
        let (part, all) = done.unwrap();
        for (image, logits) in images[part * 100..].iter().zip(all) {
            assert_eq!(logits, model.clear.classify(image).unwrap());
        }
    }
    while supply.metrics().prepared < 2 * 2048 {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let metrics = supply.metrics();
    assert_eq!((metrics.used, metrics.failures, metrics.discarded), (400, 0, 0));
    assert!(metrics.waits > 0 && !metrics.waited.is_zero(), "{metrics:?}");
    supply.close().await.unwrap();
    assert_eq!(store.unused(&edition).unwrap() as u64, metrics.prepared - 400);
    let lost: usize = store.status().unwrap().blocks.iter().map(|block| block.lost).sum();
    assert_eq!(lost, 0);
    let error = supply.ticket().await.unwrap_err();
    assert!(matches!(error, ClientError::Recognition(RecognitionError::SupplyClosed)), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_supply_follows_the_model_and_repairs_its_tickets() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    let recogniser = world.recogniser(&model).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store(&world, &directory, &recogniser);
    let tickets = recogniser.prepare(300, &mut world.rng).await.unwrap();
    recogniser.keep(&store, tickets).await.unwrap();
    let options = SupplyOptions { low_water: 0, lease: 16, ..SupplyOptions::default() };
    let supply = TicketSupply::start(recogniser, Arc::clone(&store), options);
    let images = test_images(50);
    let first = supply.infer(&images[0]).await.unwrap();
    assert_eq!(first.logits, model.clear.classify(&images[0]).unwrap());

    world.commit(&mut model).await;
    let repair = supply.refresh().await.unwrap();
    assert_eq!(repair, Repair { repaired: 299, ..Repair::default() });
    let predictions = supply.infer_batch(&images).await.unwrap();
    for (image, prediction) in images.iter().zip(predictions) {
        assert_eq!(prediction.logits, model.clear.classify(image).unwrap());
    }
    let metrics = supply.metrics();
    assert_eq!((metrics.prepared, metrics.repaired, metrics.used), (0, 299, 51));
    assert_eq!(supply.refresh().await.unwrap(), Repair::default());
    supply.close().await.unwrap();
}

/// Nobody asks for anything: no query, no preparation.
#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_supply_goes_over_to_a_newer_version() {
    let mut world = World::start().await;
    let mut model = world.model("lola").await;
    let recogniser = world.recogniser(&model).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store(&world, &directory, &recogniser);
    let tickets = recogniser.prepare(100, &mut world.rng).await.unwrap();
    recogniser.keep(&store, tickets).await.unwrap();
    let follow = Duration::from_millis(50);
    let options = SupplyOptions { low_water: 0, lease: 16, follow };
    let supply = TicketSupply::start(recogniser, store, options);
    world.commit(&mut model).await;
    let followed = async {
        while supply.recogniser().version() == 1 {
            tokio::time::sleep(follow).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), followed).await.unwrap();
    let image = &test_images(1)[0];
    let prediction = supply.infer(image).await.unwrap();
    assert_eq!(prediction.logits, model.clear.classify(image).unwrap());
    let metrics = supply.metrics();
    assert_eq!((metrics.prepared, metrics.repaired, metrics.used), (0, 100, 1));
    supply.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_supplies_of_a_deleted_model_and_tickets_of_another() {
    let mut world = World::start().await;
    let (model, other) = (world.model("mlp-100").await, world.model("lola").await);
    let recogniser = world.recogniser(&model).await;
    let directory = tempfile::tempdir().unwrap();
    let store = store(&world, &directory, &recogniser);
    let foreign = world.recogniser(&other).await.prepare(2, &mut world.rng).await.unwrap();
    let error = recogniser.keep(&store, foreign).await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Recognition(RecognitionError::ForeignTicket { .. })),
        "{error}"
    );
    assert!(store.status().unwrap().blocks.is_empty());

    let tickets = recogniser.prepare(2, &mut world.rng).await.unwrap();
    recogniser.keep(&store, tickets).await.unwrap();
    world.models().delete(&model.meta.tenant, &model.id).await.unwrap();
    let options = SupplyOptions { low_water: 0, lease: 2, ..SupplyOptions::default() };
    let supply = TicketSupply::start(recogniser, store, options);
    let size = RecognitionError::ImageSize { got: 783, expected: 784 };
    let (one, many) = (vec![0.5; 783], [vec![0.5; 784], vec![0.5; 783]]);
    for refused in [supply.infer(&one).await.err(), supply.infer_batch(&many).await.err()] {
        let Some(ClientError::Recognition(got)) = refused else { panic!("{refused:?}") };
        assert_eq!(got, size);
    }
    assert_eq!(supply.metrics().used, 0, "an image that does not fit costs no ticket");
    // What is there is handed out; more cannot be prepared, and who waits for it is told why.
    supply.ticket().await.unwrap();
    supply.ticket().await.unwrap();
    match supply.ticket().await.unwrap_err() {
        ClientError::Supply { cause } => {
            let text = cause.to_string();
            assert!(text.contains("mlp-100 was deleted"), "{text}");
        }
        other => panic!("{other}"),
    }
    assert_eq!(supply.metrics().failures, 1);
    let error = supply.refresh().await.unwrap_err();
    assert!(
        matches!(&error, ClientError::Recognition(RecognitionError::ModelGone { .. })),
        "{error}"
    );
    supply.close().await.unwrap();
}
