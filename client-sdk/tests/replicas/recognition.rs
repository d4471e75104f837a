//! Queries that two inference services answer together, and go on answering while each of them is
//! replaced.

use std::sync::Arc;
use std::time::{Duration, Instant};

use sphinx_client::SphinxClient;
use sphinx_client::recognition::Recogniser;
use sphinx_proto::v1::DescribeModelRequest;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_quantise::QuantisedNetwork;
use sphinx_testbed::Process;
use sphinx_testbed::proxy::Proxy;
use sphinx_testbed::training::{open, request};
use tokio::task::{JoinHandle, JoinSet};

use crate::world::{World, in_the_clear};

/// Questions per second of the rolling restart; each has two rounds.
const RATE: u32 = 100;

struct Replicas {
    world: World,
    inference: [Process; 2],
    proxy: Proxy,
    client: SphinxClient,
    clear: QuantisedNetwork,
}

/// A trained model behind two services.
async fn replicas() -> Option<Replicas> {
    let world = World::in_bucket().await;
    let (trainer, inference) = (world.trainer(), [world.inference(), world.inference()]);
    let proxy = Proxy::start(&[inference[0].address(), inference[1].address()]).await?;
    let client = world.client(&trainer.url(), &proxy.url());
    world.create_model(&client).await;
    let training = request(&world.key, &world.ledger(), open(4.0));
    client.train_model(training, |_| true).await.unwrap();
    let clear = in_the_clear(&world.parameters(&client).await);
    Some(Replicas { world, inference, proxy, client, clear })
}

fn image(number: usize) -> Vec<f32> {
    (0..64).map(|pixel| if pixel / 8 == number % 8 { 0.75 } else { 0.25 }).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rounds_of_one_query_are_answered_by_different_replicas() {
    let Some(Replicas { world, proxy, client, clear, inference: _inference }) =
        Box::pin(replicas()).await
    else {
        return;
    };
    let recogniser = world.recogniser(&client).await;
    let mut tickets = recogniser.prepare(200, &mut rand::rng()).await.unwrap();
    let mut split = 0;
    for number in 0..200 {
        let before = proxy.replicas();
        let image = image(number);
        let answer = recogniser.infer(tickets.take().unwrap(), &image).await.unwrap();
        assert_eq!(answer.logits, clear.classify(&image).unwrap());
        let after = proxy.replicas();
        let rounds = [0, 1].map(|at: usize| after[at].requests - before[at].requests);
        assert_eq!(rounds[0] + rounds[1], 2, "two linear layers, two rounds: {rounds:?}");
        split += usize::from(rounds == [1, 1]);
    }
    println!("200 queries of two rounds, of {split} each round at another replica");
    assert!(split > 150, "{split}");
}

/// What came of a load.
#[derive(Debug, Default)]
struct Load {
    failed: Vec<String>,
    took: Vec<Duration>,
}

impl Load {
    fn note(&mut self, outcome: Result<Duration, String>) {
        match outcome {
            Ok(took) => self.took.push(took),
            Err(error) => self.failed.push(error),
        }
    }

    fn quantile(&mut self, part: f64) -> Duration {
        self.took.sort_unstable();
        self.took[((self.took.len() - 1) as f64 * part) as usize]
    }
}

/// Asks at a fixed rate, whatever the answers take, until `stop` is set.
fn ask(
    recogniser: Recogniser,
    mut tickets: sphinx_client::recognition::TicketBook,
    clear: Arc<QuantisedNetwork>,
    mut stop: tokio::sync::watch::Receiver<bool>,
) -> JoinHandle<Load> {
    tokio::spawn(async move {
        let mut ticks = tokio::time::interval(Duration::from_secs(1) / RATE);
        let (mut asked, mut load) = (JoinSet::new(), Load::default());
        for number in 0.. {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.changed() => break,
            }
            let (recogniser, clear) = (recogniser.clone(), Arc::clone(&clear));
            let (ticket, image) = (tickets.take().unwrap(), image(number));
            asked.spawn(async move {
                let begun = Instant::now();
                let answer = recogniser.infer(ticket, &image).await;
                answer.map_err(|error| error.to_string()).map(|answer| {
                    assert_eq!(answer.logits, clear.classify(&image).unwrap());
                    begun.elapsed()
                })
            });
        }
        while let Some(done) = asked.join_next().await {
            load.note(done.unwrap());
        }
        load
    })
}

/// Requests by a client that repeats none, as fast as half of [`RATE`].
fn ask_once(url: String, mut stop: tokio::sync::watch::Receiver<bool>) -> JoinHandle<Load> {
    tokio::spawn(async move {
        let client = InferenceClient::connect(url).await.unwrap();
        let mut ticks = tokio::time::interval(2 * Duration::from_secs(1) / RATE);
        let mut load = Load::default();
        loop {
            tokio::select! {
                _ = ticks.tick() => {}
                _ = stop.changed() => return load,
            }
            let request = DescribeModelRequest { model_id: "m".to_owned(), version: None };
            let begun = Instant::now();
            let answer = client.clone().describe_model(request).await;
            load.note(answer.map(|_| begun.elapsed()).map_err(|status| status.to_string()));
        }
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_request_fails_while_one_replica_after_the_other_is_replaced() {
    let Some(Replicas { world, mut inference, proxy, client, clear }) = Box::pin(replicas()).await
    else {
        return;
    };
    let recogniser = world.recogniser(&client).await;
    let mut tickets = recogniser.prepare(2048, &mut rand::rng()).await.unwrap();
    tickets.append(recogniser.prepare(2048, &mut rand::rng()).await.unwrap());
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let begun = Instant::now();
    let asking = ask(recogniser, tickets, Arc::new(clear), stopped.clone());
    let once = ask_once(proxy.url(), stopped);
    for (replica, process) in inference.iter_mut().enumerate() {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let at = Instant::now();
        process.terminate();
        let drained = at.elapsed();
        process.restart();
        println!("replica {replica}: drained in {drained:?}, back after {:?}", at.elapsed());
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    stop.send(true).unwrap();
    let (mut load, mut once) = (asking.await.unwrap(), once.await.unwrap());
    let seconds = begun.elapsed().as_secs_f64();
    for (name, load) in [("queries of two rounds", &mut load), ("requests sent once", &mut once)] {
        let [half, most, all] = [0.5, 0.99, 1.0].map(|part| load.quantile(part));
        println!(
            "{} {name} in {seconds:.1} s, {} failed {:?}; half within {half:?}, 99 of 100 within \
             {most:?}, all within {all:?}",
            load.took.len(),
            load.failed.len(),
            load.failed.first(),
        );
    }
    println!("{:?}", proxy.replicas());
    assert!(load.failed.is_empty(), "{:?}", load.failed);
    let asked = load.took.len() as f64;
    assert!(asked > 0.8 * f64::from(RATE) * seconds, "{asked} in {seconds} s");
}
