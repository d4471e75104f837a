//! A key vault, a trainer process that can be killed, and a small model to train.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_client::data::{Classes, Dataset};
use sphinx_client::{
    Endpoints, KeyId, Memory, ModelId, ModelLedger, Privacy, Protocol, SessionOptions,
    SphinxClient, TrainingOptions, TrainingRequest,
};
use sphinx_models::ModelStore;
use sphinx_network::{NetworkSpec, Shape};
use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule};
use sphinx_privacy::ledger::Ledger;
use sphinx_privacy::{Delta, Target};
use sphinx_proto::SessionId;
use sphinx_secret::RootKey;
use tempfile::TempDir;

use crate::{Process, Running, keyvault};

/// Examples of [`examples`].
pub const EXAMPLES: usize = 3000;
/// Plain descent: what an update does to the weights is one line.
pub const DESCENT: OptimizerSpec = OptimizerSpec::Sgd { momentum: 0.0, nesterov: false };
/// The learning rate of [`open`], [`private`] and [`rule`].
pub const RATE: f32 = 0.1;

/// Services, a key, and a client.
pub struct World {
    /// Holds the store and the ledger.
    pub dir: TempDir,
    /// Where the services are.
    pub endpoints: Endpoints,
    /// The root of the registered key.
    pub key: Arc<RootKey>,
    /// The trainer.
    pub trainer: Process,
    /// A client of these services.
    pub client: SphinxClient,
    _keyvault: Running,
}

impl World {
    /// Starts the services, the trainer as a process of its own ([`Process`]), and registers a key.
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path().join("store").to_str().unwrap().to_owned();
        std::fs::create_dir(&store).unwrap();
        let keyvault = keyvault(&store).await;
        let trainer = Process::trainer(&store, &keyvault.url);

        let endpoints = Endpoints {
            trainer: trainer.url(),
            keyvault: keyvault.url.clone(),
            ..Endpoints::default()
        };
        let client = SphinxClient::new(&endpoints).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(41);
        let key = Arc::new(RootKey::generate(&mut rng));
        client.register_key(&key_id(), &key.identity(), "test").await.unwrap();
        Self { dir, endpoints, key, trainer, client, _keyvault: keyvault }
    }

    /// The same with the model `m` of the network [`small`] and its ledger.
    pub async fn with_model() -> Self {
        let world = Self::start().await;
        world.client.create_model(&model_id(), &key_id(), &small(), 5).await.unwrap();
        ModelLedger::create(&world.ledger(), "m", EXAMPLES, delta()).unwrap();
        world
    }

    /// Where the model's ledger is.
    pub fn ledger(&self) -> PathBuf {
        self.dir.path().join("ledger")
    }

    /// The trainer's store.
    pub fn store(&self) -> ModelStore {
        ModelStore::open(self.dir.path().join("store").to_str().unwrap()).unwrap()
    }

    /// The model's version at the trainer.
    pub async fn version(&self) -> u64 {
        self.client.model(&model_id()).await.unwrap().version
    }

    /// A training of the model on [`examples`].
    pub fn request(&self, options: TrainingOptions) -> TrainingRequest {
        request(&self.key, &self.ledger(), options)
    }

    /// A session on the model.
    pub fn session(&self, session_id: SessionId, rule: TrainingRule) -> SessionOptions {
        let (model_id, key_id, key) = (model_id(), key_id(), Arc::clone(&self.key));
        SessionOptions { model_id, key_id, key, session_id, rule, protocol: Protocol::default() }
    }

    /// Records and version of the ledger; nobody may be training.
    pub fn spent(&self) -> (u64, u64) {
        let head = Ledger::open_model(&self.ledger(), "m").unwrap().head();
        (head.records, head.version)
    }
}

/// The model.
pub fn model_id() -> ModelId {
    ModelId::parse("m").unwrap()
}

/// Its key.
pub fn key_id() -> KeyId {
    KeyId::parse("laptop").unwrap()
}

/// δ of the ledger.
pub fn delta() -> Delta {
    Delta::new(1e-5).unwrap()
}

/// Two stages of 64 and 12 rows: a step takes some milliseconds.
pub fn small() -> NetworkSpec {
    NetworkSpec::from_toml(
        r#"
        name = "small"
        input = { channels = 1, height = 8, width = 8 }
        [[layers]]
        kind = "dense"
        outputs = 12
        [[layers]]
        kind = "tanh"
        [[layers]]
        kind = "dense"
        outputs = 10
        "#,
    )
    .unwrap()
}

/// Images of 8 x 8 pixels whose brightest line is their class.
pub fn examples(count: usize) -> Dataset {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let labels: Vec<u8> = (0..count).map(|index| (index % 8) as u8).collect();
    let pixel = |label: u8, pixel: usize, noise: u8| {
        if pixel / 8 == usize::from(label) { 255 - noise } else { noise }
    };
    let images = labels
        .iter()
        .flat_map(|&label| (0..64).map(move |at| (label, at)))
        .map(|(label, at)| pixel(label, at, rng.random_range(0..100)))
        .collect();
    Dataset::new(images, labels, Shape::new(1, 8, 8), Classes::numbered(10)).unwrap()
}

/// A training of the model on [`examples`].
pub fn request(key: &Arc<RootKey>, ledger: &Path, options: TrainingOptions) -> TrainingRequest {
    TrainingRequest {
        model_id: model_id(),
        key_id: key_id(),
        key: Arc::clone(key),
        data: Arc::new(examples(EXAMPLES)),
        options,
        ledger: ledger.to_owned(),
        delta: delta(),
        seed: None,
        protocol: Protocol::default(),
        shards: NonZeroUsize::MIN,
        pipeline: None,
        memory: Memory::default(),
        account: None,
    }
}

/// A private training within ε = 8.
pub fn private(epochs: f64) -> TrainingOptions {
    let target = Target::new(8.0, delta()).unwrap();
    let privacy = Privacy::Budget { target, clipping_norm: 1.0 };
    TrainingOptions { privacy, ..open(epochs) }
}

/// A training without noise.
pub fn open(epochs: f64) -> TrainingOptions {
    TrainingOptions {
        epochs,
        blocks: 1,
        batch: None,
        optimizer: DESCENT,
        learning_rate: RATE,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::None,
    }
}

/// The rule of [`open`] and [`private`].
pub fn rule() -> TrainingRule {
    let schedule = Schedule { peak: RATE, decay: Decay::Constant, warmup: 0, total: 100 };
    TrainingRule { optimizer: DESCENT, schedule, averaging: None }
}

/// Runs what blocks on a thread of its own.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}
