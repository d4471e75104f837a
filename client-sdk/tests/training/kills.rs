//! A training of which any process may be killed at any time, and all of them at once.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_audit::verify;
use sphinx_client::{Endpoints, ModelLedger, SphinxClient, TrainingOptions, TrainingRequest};
use sphinx_optimizer::OptimizerSpec;
use sphinx_privacy::ledger::{Digest, Ledger};
use sphinx_secret::RootKey;
use sphinx_testbed::Process;
use tempfile::TempDir;

use crate::world::{EXAMPLES, delta, key_id, model_id, private, request, small};

/// How many processes are killed; another number by [`KILLS_VARIABLE`].
const KILLS: usize = 10;
const KILLS_VARIABLE: &str = "SPHINX_TEST_KILLS";
/// Passes over the data for each kill.
const EPOCHS_PER_KILL: f64 = 6.0;

/// The processes of a training: key vault, trainer, client.
struct Machines {
    directory: TempDir,
    keyvault: Process,
    trainer: Process,
    client: Option<Child>,
    epochs: f64,
    /// The last step that the client was told of.
    confirmed: Arc<AtomicU64>,
}

/// What a training has come to.
#[derive(Debug, PartialEq)]
struct Outcome {
    version: u64,
    /// Weights and biases by their bits.
    parameters: Vec<Vec<u32>>,
}

impl Machines {
    async fn start(epochs: f64) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(path("keys")).unwrap();
        std::fs::create_dir(path("models")).unwrap();
        let keyvault = Process::audited_keyvault(&path("keys"), path("keyvault.audit").as_ref());
        let (models, audit) = (path("models"), path("trainer.audit"));
        let trainer = Process::audited_trainer(&models, &keyvault.url(), audit.as_ref());
        let key = RootKey::generate(&mut ChaCha20Rng::seed_from_u64(41));
        key.save(path("key").as_ref()).unwrap();
        let confirmed = Arc::default();
        let machines = Self { directory, keyvault, trainer, client: None, epochs, confirmed };
        let client = machines.sdk();
        client.register_key(&key_id(), &key.identity(), "test").await.unwrap();
        client.create_model(&model_id(), &key_id(), &small(), 5).await.unwrap();
        ModelLedger::create(&machines.path("ledger"), "m", EXAMPLES, delta()).unwrap();
        machines
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn sdk(&self) -> SphinxClient {
        let endpoints = Endpoints {
            trainer: self.trainer.url(),
            keyvault: self.keyvault.url(),
            ..Endpoints::default()
        };
        SphinxClient::new(&endpoints).unwrap()
    }

    /// The same command each time.
    fn start_client(&mut self) {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kills::client_that_is_killed", "--ignored", "--nocapture"])
            .env("SPHINX_TEST_TRAINER", self.trainer.url())
            .env("SPHINX_TEST_KEYVAULT", self.keyvault.url())
            .env("SPHINX_TEST_DIRECTORY", self.directory.path())
            .env("SPHINX_TEST_EPOCHS", self.epochs.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let confirmed = Arc::clone(&self.confirmed);
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(step) = line.strip_prefix("step ") {
                    confirmed.fetch_max(step.parse().unwrap(), Ordering::SeqCst);
                }
            }
        });
        self.client = Some(child);
    }

    /// Whether the client has ended well; it may not end otherwise.
    fn has_trained(&mut self) -> bool {
        let ended = self.client.as_mut().unwrap().try_wait().unwrap();
        ended.is_some_and(|status| {
            assert!(status.success(), "the client gave up: {status}");
            true
        })
    }

    /// Waits until the client was told of `steps` more.
    async fn train_further(&mut self, steps: u64) {
        let target = self.confirmed.load(Ordering::SeqCst) + steps;
        let limit = Instant::now() + Duration::from_secs(120);
        while self.confirmed.load(Ordering::SeqCst) < target && !self.has_trained() {
            assert!(Instant::now() < limit, "the training stands still");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    fn kill_client(&mut self) {
        let mut client = self.client.take().unwrap();
        client.kill().unwrap();
        client.wait().unwrap();
    }

    /// Kills one of the processes, or all of them, and starts it again.
    async fn kill(&mut self, whom: Victim) {
        match whom {
            Victim::Client => self.kill_client(),
            Victim::Trainer => self.trainer.kill(),
            Victim::Keyvault => self.keyvault.kill(),
            Victim::All => {
                self.kill_client();
                self.trainer.kill();
                self.keyvault.kill();
            }
        }
        // What a client was told of is not lost.
        let confirmed = self.confirmed.load(Ordering::SeqCst);
        if matches!(whom, Victim::Keyvault | Victim::All) {
            self.keyvault.restart();
        }
        if matches!(whom, Victim::Trainer | Victim::All) {
            self.trainer.restart();
            let version = self.sdk().model(&model_id()).await.unwrap().version;
            assert!(version >= confirmed, "step {confirmed} is lost, the model is at {version}");
        }
        if self.client.is_none() {
            self.start_client();
        }
    }

    async fn outcome(&self) -> Outcome {
        let key = RootKey::load(&self.path("key")).unwrap();
        let client = self.sdk();
        let version = client.model(&model_id()).await.unwrap().version;
        let stages = client.export_model(&model_id(), &key).await.unwrap().stages;
        let vectors = stages.into_iter().flat_map(|stage| [stage.weights, stage.biases]);
        let parameters = vectors.map(|vector| vector.into_iter().map(f32::to_bits).collect());
        Outcome { version, parameters: parameters.collect() }
    }

    /// Every step is spent once, and is applied once.
    fn assert_each_step_once(&self, steps: u64) {
        let ledger = Ledger::open_model(&self.path("ledger"), "m").unwrap();
        assert_eq!(ledger.pending(), None);
        let numbers: Vec<u64> = ledger.records().iter().map(|record| record.entry.step).collect();
        assert_eq!(numbers, (0..steps).collect::<Vec<_>>());
        let updates: HashSet<Digest> =
            ledger.records().iter().map(|record| record.update).collect();
        assert_eq!(updates.len() as u64, steps, "an update was recorded twice");
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        if self.client.is_some() {
            self.kill_client();
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Victim {
    Client,
    Trainer,
    Keyvault,
    All,
}

/// With moments and noise, of which each run draws the same.
fn seeded(request: TrainingRequest) -> TrainingRequest {
    TrainingRequest { seed: Some([7; 32]), ..request }
}

fn options(epochs: f64) -> TrainingOptions {
    TrainingOptions { optimizer: OptimizerSpec::ADAM, learning_rate: 0.01, ..private(epochs) }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_killed_whenever_a_training_ends_where_an_undisturbed_one_does() {
    let kills = std::env::var(KILLS_VARIABLE).map_or(KILLS, |kills| kills.parse().unwrap());
    let epochs = EPOCHS_PER_KILL * kills as f64;
    let whole = Machines::start(epochs).await;
    let key = Arc::new(RootKey::load(&whole.path("key")).unwrap());
    let undisturbed = seeded(request(&key, &whole.path("ledger"), options(epochs)));
    let begun = Instant::now();
    let summary = whole.sdk().train_model(undisturbed, |_| true).await.unwrap();
    let took = begun.elapsed();
    let expected = whole.outcome().await;
    assert_eq!(summary.steps, expected.version);
    whole.assert_each_step_once(summary.steps);

    // Kills are so few steps apart that the training cannot end before the last, on a busy machine
    // either; and up to a step later, so that they fall anywhere within one.
    let most = 4 * summary.steps / (5 * kills as u64);
    let step = took.div_f64(summary.steps as f64);
    let seed = rand::rng().random();
    println!("kills by the seed {seed:?}, at most {most} steps apart");
    let mut rng = ChaCha20Rng::from_seed(seed);
    let mut broken = Machines::start(epochs).await;
    broken.start_client();
    let mut by_victim = [0; 4];
    for number in 0..kills {
        broken.train_further(rng.random_range(0..=most)).await;
        tokio::time::sleep(step.mul_f64(rng.random())).await;
        assert!(!broken.has_trained(), "the training ended after {number} kills");
        let victims = [Victim::Client, Victim::Trainer, Victim::Keyvault, Victim::All];
        let victim = victims[rng.random_range(0..4)];
        by_victim[victim as usize] += 1;
        broken.kill(victim).await;
    }
    let limit = Instant::now() + 20 * took + Duration::from_secs(30);
    while !broken.has_trained() {
        assert!(Instant::now() < limit, "the training does not end");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(broken.outcome().await, expected);
    broken.assert_each_step_once(summary.steps);
    // Audit logs of services that were killed go on unbroken.
    for log in ["trainer.audit", "keyvault.audit"] {
        verify(&[broken.path(log)], None).unwrap();
    }
    println!("{} steps, kills of client, trainer, key vault, all: {by_victim:?}", summary.steps);
}

/// Not a test of its own: the process that the test above kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "run by whatever_is_killed_whenever_a_training_ends_where_an_undisturbed_one_does"]
async fn client_that_is_killed() {
    let variable = |name: &str| std::env::var(name).unwrap();
    let endpoints = Endpoints {
        trainer: variable("SPHINX_TEST_TRAINER"),
        keyvault: variable("SPHINX_TEST_KEYVAULT"),
        ..Endpoints::default()
    };
    let directory = PathBuf::from(variable("SPHINX_TEST_DIRECTORY"));
    let key = Arc::new(RootKey::load(&directory.join("key")).unwrap());
    let options = options(variable("SPHINX_TEST_EPOCHS").parse().unwrap());
    let request = seeded(request(&key, &directory.join("ledger"), options));
    let note = |progress: &sphinx_client::Progress| {
        println!("\nstep {}", progress.step);
        true
    };
    SphinxClient::new(&endpoints).unwrap().train_model(request, note).await.unwrap();
}
