//! Trainings whose service is killed.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rand::RngExt;
use sphinx_client::{ChannelError, ClientError, Endpoints, SphinxClient};
use sphinx_privacy::ledger::Ledger;

use crate::world::{World, model_id, private};

#[tokio::test(flavor = "multi_thread")]
async fn training_goes_on_by_itself_when_the_service_is_killed_and_restarted() {
    let mut world = World::with_model().await;
    let request = world.request(private(120.0));
    let client = world.client.clone();
    let last = Arc::new(AtomicU64::new(0));
    let seen = Arc::clone(&last);
    let training = tokio::spawn(async move {
        let note = move |progress: &sphinx_client::Progress| {
            // Every step is reported once, in order.
            assert_eq!(seen.swap(progress.step, Ordering::Relaxed) + 1, progress.step);
            true
        };
        client.train_model(request, note).await
    });
    let mut kills = 0;
    while !training.is_finished() && kills < 10 {
        tokio::time::sleep(Duration::from_millis(rand::rng().random_range(150..300))).await;
        world.trainer.kill();
        kills += 1;
        world.trainer.restart();
    }
    let summary = training.await.unwrap().unwrap();
    println!("{} steps, {kills} kills, {:?}", summary.steps, summary.elapsed);
    assert!(kills >= 5, "the training ended after {kills} kills");
    assert!(!summary.budget_exhausted && summary.steps > 50);
    assert_eq!(last.load(Ordering::Relaxed), summary.steps);
    assert_eq!((summary.version, world.version().await), (summary.steps, summary.steps));
    assert_eq!(world.spent(), (summary.steps, summary.steps));
    assert_eq!(Ledger::open_model(&world.ledger(), "m").unwrap().pending(), None);
    assert!(summary.epsilon.unwrap().proven() <= 8.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn says_which_address_does_not_answer() {
    let mut world = World::with_model().await;
    world.trainer.kill();
    let begun = std::time::Instant::now();
    let trained = world.client.train_model(world.request(private(3.0)), |_| true).await;
    let error = trained.unwrap_err();
    assert!(matches!(
        &error,
        ClientError::Channel(ChannelError::Unreachable { service: "trainer", tries: 6, .. })
    ));
    assert!(error.to_string().contains(&world.endpoints.trainer), "{error}");
    assert!(begun.elapsed() > Duration::from_secs(4), "gave up after {:?}", begun.elapsed());
    assert_eq!(world.spent(), (0, 0));

    // Somebody else is there, who is no trainer.
    let endpoints =
        Endpoints { trainer: world.endpoints.keyvault.clone(), ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();
    let error = client.model(&model_id()).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
}
