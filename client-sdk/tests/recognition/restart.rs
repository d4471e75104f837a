//! A service that dies between rounds, killed without warning.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, SphinxClient};

use crate::world::World;

/// A real process of the inference service.
struct Process(Child);

impl Process {
    /// Starts it on `listen` and waits until it listens; returns its address, too.
    fn start(world: &World, listen: &str) -> (Self, String) {
        let mut child = Command::new(env!("CARGO_BIN_EXE_sphinx"))
            .args(["serve", "inference", "--exit-with-stdin", "--listen", listen, "--store"])
            .arg(world.store.path())
            .args(["--keyvault", &world.endpoints.keyvault, "--log-filter", "off"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("listening on ").unwrap().to_owned();
        (Self(child), address)
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only for tests that fail; it may have gone.
        let _ = self.0.kill();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_go_on_when_the_service_is_killed_between_rounds() {
    let mut world = World::start().await;
    let model = world.model("lola").await;
    let (mut process, address) = Process::start(&world, "127.0.0.1:0");
    let inference = format!("http://{address}");
    let endpoints = Endpoints { inference, ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();
    let key = Arc::clone(&world.key);
    let recogniser = Recogniser::new(&client, &model.id, key, &world.key_id).await.unwrap();
    let mut tickets = recogniser.prepare(2000, &mut world.rng).await.unwrap();
    let image = vec![0.75; 784];
    let expected = model.clear.classify(&image).unwrap();
    let asking = tokio::spawn(async move {
        let mut slowest = Duration::ZERO;
        for _ in 0..2000 {
            let begun = std::time::Instant::now();
            let answer = recogniser.infer(tickets.take().unwrap(), &image).await.unwrap();
            assert_eq!(answer.logits, expected);
            slowest = slowest.max(begun.elapsed());
        }
        slowest
    });
    let mut kills = 0;
    while !asking.is_finished() && kills < 3 {
        tokio::time::sleep(Duration::from_millis(70)).await;
        process.kill();
        kills += 1;
        process = Process::start(&world, &address).0;
    }
    let slowest = asking.await.unwrap();
    assert!(kills > 1, "the queries ended before the service was killed twice");
    // At least one query was under way when the service died, and waited for the next one.
    assert!(slowest > Duration::from_millis(50), "{slowest:?}");
}
