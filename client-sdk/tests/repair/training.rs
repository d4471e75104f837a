//! Several versions of a model in training, one book of tickets.

use rayon::prelude::*;
use sphinx_client::recognition::{Prediction, Repair};
use sphinx_network::NetworkSpec;
use sphinx_quantise::QuantisedNetwork;

use crate::world::World;

fn test_images() -> Vec<Vec<f32>> {
    let test = sphinx_mnist::load().unwrap().test;
    (0..test.len()).map(|index| test.pixels(index).unwrap()).collect()
}

/// How many images have the logits of the network in the clear.
fn equal(clear: &QuantisedNetwork, images: &[Vec<f32>], predictions: &[Prediction]) -> usize {
    let pairs = images.par_iter().zip(predictions);
    pairs.filter(|(image, got)| clear.classify(image).unwrap() == got.logits).count()
}

/// Repairs of one step each, then of three at once; every test image is recognised with a repaired
/// ticket.
#[tokio::test(flavor = "multi_thread")]
async fn all_ten_thousand_test_images_get_the_right_logits_by_repaired_tickets() {
    let mut world = World::start().await;
    let images = test_images();
    let mut training = world.train(5);
    training.steps(1).await;
    let mut recogniser = world.recogniser().await;
    let mut book = recogniser.prepare(2000, &mut world.rng).await.unwrap();
    for _ in 1..5 {
        book.append(recogniser.prepare(2000, &mut world.rng).await.unwrap());
    }
    let mut first = 0;
    for (steps, count, version) in [(1, 4000, 2), (1, 3000, 3), (3, 3000, 6)] {
        training.steps(steps).await;
        recogniser = recogniser.refreshed().await.unwrap();
        assert_eq!(recogniser.version(), version);
        let left = book.len();
        let repair = recogniser.repair(&mut book).await.unwrap();
        assert_eq!(repair, Repair { repaired: left, ..Repair::default() });
        let images = &images[first..first + count];
        let tickets = book.take_many(count).unwrap();
        let predictions = recogniser.infer_batch(tickets, images).await.unwrap();
        assert_eq!(equal(&world.clear().await, images, &predictions), count, "{version}");
        first += count;
    }
    assert_eq!((first, book.len()), (10_000, 0));
    training.end().await;
}

/// A process that knows nothing of the old version but the tickets it finds: it opens that version
/// as well.
#[tokio::test(flavor = "multi_thread")]
async fn stored_tickets_are_repaired_by_another_process() {
    let mut world = World::start().await;
    let images = &test_images()[..300];
    let mut training = world.train(2);
    training.steps(1).await;
    let before = world.recogniser().await;
    let store = world.store(&before);
    let tickets = before.prepare(300, &mut world.rng).await.unwrap();
    assert_eq!(before.keep(&store, tickets).await.unwrap(), 300);
    drop((before, store));

    training.steps(1).await;
    let after = world.recogniser().await;
    let store = world.store(&after);
    let repair = after.repair_stored(&store).await.unwrap();
    assert_eq!(repair, Repair { repaired: 300, ..Repair::default() });
    let tickets = after.take_stored(&store, 300).await.unwrap();
    let predictions = after.infer_batch(tickets, images).await.unwrap();
    assert_eq!(equal(&world.clear().await, images, &predictions), 300);
    training.end().await;
}

/// Tickets of a trained model, another training of many more commits than versions are kept, and a
/// replica that has never seen the version they are for: the store still has it, since the second
/// training began there.
#[tokio::test(flavor = "multi_thread")]
async fn stored_tickets_outlast_a_training_of_many_commits() {
    let spec = "name = \"small\"\ninput = { channels = 1, height = 28, width = 28 }\n\
                [[layers]]\nkind = \"avg_pool\"\nsize = 2\n[[layers]]\nkind = \"dense\"\noutputs = 10\n";
    let mut world = World::of(NetworkSpec::from_toml(spec).unwrap()).await;
    let images = &test_images()[..100];
    let mut training = world.train(100);
    training.steps(3).await;
    training.end().await;
    let before = world.recogniser().await;
    let store = world.store(&before);
    let tickets = before.prepare(100, &mut world.rng).await.unwrap();
    before.keep(&store, tickets).await.unwrap();

    // By another schedule: the same one would go on with the session that was ended early.
    let mut training = world.train(101);
    training.steps(24).await;
    training.end().await;
    let after = world.fresh_recogniser().await;
    assert_eq!((before.version(), after.version()), (3, 27));
    let repair = after.repair_stored(&store).await.unwrap();
    assert_eq!(repair, Repair { repaired: 100, ..Repair::default() });
    let tickets = after.take_stored(&store, 100).await.unwrap();
    let predictions = after.infer_batch(tickets, images).await.unwrap();
    assert_eq!(equal(&world.clear().await, images, &predictions), 100);
}
