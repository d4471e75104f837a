//! A service that dies between rounds, killed without warning.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, SphinxClient};
use sphinx_runtime::CancellationToken;
use tokio::net::TcpListener;

use crate::world::World;

/// A real process of the inference service. Its output stays open: a service whose output nobody
/// can read ends.
struct Process {
    child: Child,
    _output: BufReader<ChildStdout>,
}

impl Process {
    /// Starts it on `listen` and waits until it listens; returns its address, too.
    fn start(world: &World, listen: &str) -> (Self, String) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "restart::service_that_is_killed", "--ignored", "--nocapture"])
            .env("SPHINX_TEST_STORE", world.store.path())
            .env("SPHINX_TEST_KEYVAULT", &world.endpoints.keyvault)
            .env("SPHINX_TEST_LISTEN", listen)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "the service ended at once");
            if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                break address.to_owned();
            }
        };
        (Self { child, _output: output }, address)
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Only for tests that fail; it may have gone.
        let _ = self.child.kill();
    }
}

/// Not a test of its own: the service that the test below kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by Process::start"]
async fn service_that_is_killed() {
    let variable = |name: &str| std::env::var(name).unwrap();
    // Standard input closes when the test ends, however it ends.
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        std::process::exit(0);
    });
    let listener = TcpListener::bind(variable("SPHINX_TEST_LISTEN")).await.unwrap();
    let mut config = sphinx_inference::Config::defaults(&sphinx_inference::SERVICE);
    config.store = variable("SPHINX_TEST_STORE");
    config.keyvault = variable("SPHINX_TEST_KEYVAULT");
    println!("\nlistening on {}", listener.local_addr().unwrap());
    sphinx_inference::run(config, listener, CancellationToken::new()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn queries_go_on_when_the_service_is_killed_between_rounds() {
    let mut world = World::start().await;
    let model = world.model("lola").await;
    let (mut process, address) = Process::start(&world, "127.0.0.1:0");
    let inference = format!("http://{address}");
    let endpoints = Endpoints { inference, ..world.endpoints.clone() };
    let client = SphinxClient::new(&endpoints).unwrap();
    let recogniser = Recogniser::new(&client, world.read_key(&model)).await.unwrap();
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
