//! A training whose trainer is killed goes on at another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use sphinx_client::{Progress, TrainingOptions, TrainingRequest};
use sphinx_optimizer::OptimizerSpec;
use sphinx_testbed::proxy::Proxy;
use sphinx_testbed::training::{private, request};

use crate::world::{World, bits};

/// With moments and noise, of which each run draws the same.
fn seeded(world: &World) -> TrainingRequest {
    let options =
        TrainingOptions { optimizer: OptimizerSpec::ADAM, learning_rate: 0.01, ..private(40.0) };
    TrainingRequest { seed: Some([7; 32]), ..request(&world.key, &world.ledger(), options) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_training_whose_trainer_is_killed_goes_on_at_another_bit_for_bit() {
    let whole = World::in_bucket().await;
    let trainer = whole.trainer();
    let client = whole.client(&trainer.url(), "");
    whole.create_model(&client).await;
    let undisturbed = client.train_model(seeded(&whole), |_| true).await.unwrap();
    let expected = bits(whole.parameters(&client).await);

    let world = World::in_bucket().await;
    let mut trainers = [world.trainer(), world.trainer()];
    let addresses = trainers.each_ref().map(|trainer| trainer.address().to_owned());
    let Some(proxy) = Proxy::start(&[&addresses[0], &addresses[1]]).await else { return };
    let client = world.client(&proxy.url(), "");
    world.create_model(&client).await;
    let confirmed = Arc::new(AtomicU64::new(0));
    let (seen, training) = (Arc::clone(&confirmed), client.clone());
    let request = seeded(&world);
    let mut training = tokio::spawn(async move {
        let note = move |progress: &Progress| {
            // Every step is reported once, in order.
            assert_eq!(seen.swap(progress.step, Ordering::SeqCst) + 1, progress.step);
            true
        };
        training.train_model(request, note).await
    });
    let mut kills = Vec::new();
    for target in [undisturbed.steps / 4, undisturbed.steps / 2, 3 * undisturbed.steps / 4] {
        let limit = Instant::now() + Duration::from_secs(120);
        while confirmed.load(Ordering::SeqCst) < target {
            assert!(Instant::now() < limit && !training.is_finished(), "it stands still");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let at_work = proxy.replicas().into_iter().find(|replica| replica.under_way > 0).unwrap();
        let at_work = at_work.number;
        trainers[at_work].kill();
        let (step, begun) = (confirmed.load(Ordering::SeqCst), Instant::now());
        // What was confirmed is there, seen by the other one, and the next step is reported.
        while confirmed.load(Ordering::SeqCst) <= step {
            if training.is_finished() {
                panic!("it ended after step {step}: {:?}", (&mut training).await);
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "nobody goes on after step {step}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        kills.push((at_work, step, begun.elapsed()));
        trainers[at_work].restart();
    }
    let summary = training.await.unwrap().unwrap();
    for (replica, step, pause) in kills {
        println!("trainer {replica} killed after step {step}, the next one came {pause:?} later");
    }
    println!("{} steps; requests by replica: {:?}", summary.steps, proxy.replicas());
    assert_eq!((summary.steps, summary.version), (undisturbed.steps, undisturbed.version));
    assert_eq!(bits(world.parameters(&client).await), expected);
}
