//! Trainings whose client is killed: what it spent is known, what it sent is sent again unchanged.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rand::RngExt;
use sphinx_client::{Endpoints, SphinxClient};
use sphinx_privacy::ledger::{Digest, Ledger};
use sphinx_secret::RootKey;

use crate::pending::assert_committed;
use crate::world::{World, private, request};

const ROUNDS: usize = 12;
/// Long enough for any kill to come first, within the budget all the same.
const EPOCHS: f64 = 300.0;

#[tokio::test(flavor = "multi_thread")]
async fn a_client_killed_anywhere_spends_every_step_once() {
    let world = World::with_model().await;
    let key_file = world.dir.path().join("key");
    world.key.save(&key_file).unwrap();
    let mut unconfirmed = 0;
    for round in 0..ROUNDS {
        train_and_be_killed(&world, &key_file).await;
        let server = world.version().await;
        let (head, pending) = {
            let ledger = Ledger::open_model(&world.ledger(), "m").unwrap();
            (ledger.head(), ledger.pending().cloned())
        };
        assert_eq!(head.records, head.version, "round {round}: a step was spent twice");
        match &pending {
            Some(pending) => {
                assert_eq!(pending.entry.step + 1, head.version);
                assert!(server == head.version || server + 1 == head.version, "{server} {head:?}");
                unconfirmed += 1;
            }
            None => assert_eq!(server, head.version, "round {round}"),
        }

        // The next run sends what is pending and goes on with one step of its own.
        let next = world.client.train_model(world.request(private(EPOCHS)), |_| false).await;
        let next = next.unwrap();
        assert_eq!((next.steps, next.version), (1, head.version + 1));
        assert_eq!(world.version().await, head.version + 1);
        assert_eq!(world.spent(), (head.version + 1, head.version + 1));
        if let Some(pending) = pending {
            assert_committed(&world, &pending).await;
        }
    }
    let ledger = Ledger::open_model(&world.ledger(), "m").unwrap();
    println!("{unconfirmed} of {ROUNDS} kills left an update unconfirmed, {:?}", ledger.head());
    let updates: HashSet<Digest> = ledger.records().iter().map(|record| record.update).collect();
    assert_eq!(updates.len(), ledger.records().len(), "bytes were recorded twice");
    let steps: Vec<u64> = ledger.records().iter().map(|record| record.entry.step).collect();
    assert_eq!(steps, (0..steps.len() as u64).collect::<Vec<_>>());
}

/// Starts a training in a process of its own and kills it at a random time after its first step.
async fn train_and_be_killed(world: &World, key_file: &Path) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killed_client::client_that_is_killed", "--ignored", "--nocapture"])
        .env("SPHINX_TEST_TRAINER", &world.endpoints.trainer)
        .env("SPHINX_TEST_KEYVAULT", &world.endpoints.keyvault)
        .env("SPHINX_TEST_KEY", key_file)
        .env("SPHINX_TEST_LEDGER", world.ledger())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("step")), "the client never trained");
    let pause = Duration::from_micros(rand::rng().random_range(0..80_000));
    tokio::time::sleep(pause).await;
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by a_client_killed_anywhere_spends_every_step_once"]
async fn client_that_is_killed() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let endpoints = Endpoints {
        trainer: variable("SPHINX_TEST_TRAINER"),
        keyvault: variable("SPHINX_TEST_KEYVAULT"),
        ..Endpoints::default()
    };
    let client = SphinxClient::new(&endpoints).unwrap();
    let key = Arc::new(RootKey::load(variable("SPHINX_TEST_KEY").as_ref()).unwrap());
    let request = request(&key, variable("SPHINX_TEST_LEDGER").as_ref(), private(EPOCHS));
    let note = |progress: &sphinx_client::Progress| {
        println!("\nstep {}", progress.step);
        true
    };
    client.train_model(request, note).await.unwrap();
}
