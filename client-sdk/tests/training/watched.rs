//! A training in the background: watched from its first step by whoever comes when, stopped by any
//! of them, and seen from the side of what leaves.

use std::sync::{Arc, Mutex};

use sphinx_client::workspace::TrainingJob;
use sphinx_client::{Direction, Product, Sight, Witness};

use crate::world::{EXAMPLES, World, private};

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_told_every_step_and_any_of_them_may_stop() {
    let world = World::with_model().await;
    let job = TrainingJob::start(&world.client, world.request(private(200.0)));
    let mut first = job.watcher();
    for expected in 1..=3 {
        assert_eq!(first.next().await.unwrap().step, expected);
    }
    // One who comes late, as a page that is opened again.
    let mut late = job.watcher();
    assert_eq!(late.next().await.unwrap().step, 1);
    late.stop();
    let trained = job.finish().await.unwrap();
    let steps = trained.summary.steps;
    assert!((3..200).contains(&steps), "{steps}");
    assert_eq!(world.version().await, steps);
    let rest = std::iter::from_fn(|| step_of_the_past(&mut late)).count() as u64;
    assert_eq!(rest, steps - 1);

    // What was stopped goes on; dropped, it stops again.
    let job = TrainingJob::start(&world.client, world.request(private(200.0)));
    let mut watcher = job.watcher();
    assert_eq!(watcher.next().await.unwrap().step, steps + 1);
    drop(job);
    while watcher.next().await.is_some() {}
    assert!(world.version().await > steps);
}

/// The next step of a training that is over.
fn step_of_the_past(watcher: &mut sphinx_client::workspace::Watcher) -> Option<u64> {
    tokio::task::block_in_place(|| {
        tokio::runtime::Handle::current().block_on(watcher.next()).map(|step| step.step)
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_sees_the_images_and_the_even_bytes_that_leave_instead() {
    let world = World::with_model().await;
    let images = Arc::new(Mutex::new(Vec::new()));
    let bytes: Arc<Mutex<Vec<u8>>> = Arc::default();
    let (seen, sent) = (Arc::clone(&images), Arc::clone(&bytes));
    let first = Product::Training { stage: 0, direction: Direction::Forward };
    let witness = Witness::new(move |sight| match sight {
        Sight::Hidden { product, values, slots } if product == first => {
            seen.lock().unwrap().push((values.to_vec(), slots));
        }
        Sight::Left { product, bytes } if product == first => sent.lock().unwrap().extend(bytes),
        Sight::Hidden { .. } | Sight::Left { .. } => {}
    });
    let client = world.client.clone().witnessed(&witness);
    let request = world.request(private(1.0));
    assert_eq!(request.data.len(), EXAMPLES);
    let summary = client.train_model(request, |_| true).await.unwrap();

    let images = images.lock().unwrap();
    assert_eq!(images.len() as u64, summary.steps);
    let (values, slots) = &images[0];
    assert_eq!((values.len() / slots, *slots), (64, 2048));
    assert!(values.iter().all(|value| (0.0..=1.0).contains(value)));
    // Some slots of every pixel are bright: that is what an observer of the values sees.
    assert!(values.iter().filter(|value| **value > 0.6).count() > 100 * 8);

    let bytes = bytes.lock().unwrap();
    assert!(bytes.len() as u64 > summary.steps * 64 * 2048 * 3 - 1, "{}", bytes.len());
    let mut counts = [0_u64; 256];
    bytes.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = bytes.len() as f64 / 256.0;
    let squares = counts.iter().map(|count| (*count as f64 - expected).powi(2)).sum::<f64>();
    // 255 degrees of freedom: a mean of 255, a deviation of 22.6; eight of them.
    assert!((74.0..436.0).contains(&(squares / expected)), "{}", squares / expected);
}
