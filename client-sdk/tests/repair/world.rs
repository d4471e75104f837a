//! All three services, and a model that is trained under encryption, step by step.

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, mpsc};

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::tickets::{STORE_PURPOSE, StoreKey, TicketStore};
use sphinx_client::{
    ClientError, Endpoints, KeyId, Memory, ModelId, ModelLedger, Privacy, Protocol, SphinxClient,
    TenantId, TrainingOptions, TrainingRequest,
};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, Target};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};
use sphinx_secret::{ModelName, ReadKey, RootKey};
use sphinx_testbed::{Running, inference, keyvault, trainer};
use tempfile::TempDir;
use tokio::task::JoinHandle;

pub struct World {
    pub client: SphinxClient,
    endpoints: Endpoints,
    pub key: Arc<RootKey>,
    pub rng: ChaCha20Rng,
    directory: TempDir,
    /// All that have been started.
    services: Mutex<Vec<Running>>,
}

/// A training that takes its next step when it is asked for.
pub struct Training {
    begun: bool,
    go: mpsc::Sender<()>,
    done: tokio::sync::mpsc::UnboundedReceiver<u64>,
    task: JoinHandle<Result<(), ClientError>>,
}

impl World {
    /// Services, a registered key, and the paper's network at version 0.
    pub async fn start() -> Self {
        Self::of(NetworkSpec::builtin("sphinx-mnist").unwrap()).await
    }

    /// The same with another network.
    pub async fn of(spec: NetworkSpec) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let store = store.to_str().unwrap().to_owned();
        let keyvault = keyvault(&store).await;
        let trainer = trainer(&store, &keyvault.url).await;
        let inference = inference(&store, &keyvault.url).await;
        let endpoints = Endpoints {
            trainer: trainer.url.clone(),
            inference: inference.url.clone(),
            keyvault: keyvault.url.clone(),
            ..Endpoints::default()
        };
        let services = Mutex::new(vec![keyvault, trainer, inference]);
        let client = SphinxClient::new(&endpoints).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let key = Arc::new(RootKey::generate(&mut rng));
        client.register_key(&key_id(), &key.identity(), "test").await.unwrap();
        client.create_model(&model_id(), &key_id(), &spec, 3).await.unwrap();
        Self { client, endpoints, key, rng, directory, services }
    }

    /// A replica of the inference service that has loaded no model yet, and a recogniser that asks
    /// it.
    pub async fn fresh_recogniser(&self) -> Recogniser {
        let store = self.directory.path().join("store").to_str().unwrap().to_owned();
        let fresh = inference(&store, &self.endpoints.keyvault).await;
        let endpoints = Endpoints { inference: fresh.url.clone(), ..self.endpoints.clone() };
        self.services.lock().unwrap().push(fresh);
        let client = SphinxClient::new(&endpoints).unwrap();
        Recogniser::new(&client, self.read_key().await).await.unwrap()
    }

    pub async fn recogniser(&self) -> Recogniser {
        Recogniser::new(&self.client, self.read_key().await).await.unwrap()
    }

    async fn read_key(&self) -> Arc<ReadKey> {
        let incarnation = self.client.model(&model_id()).await.unwrap().incarnation;
        let (tenant, model) = ("default".to_owned(), model_id().to_string());
        Arc::new(self.key.read_key(&ModelName { tenant, model, incarnation }))
    }

    /// The store of the model's tickets.
    pub fn store(&self, recogniser: &Recogniser) -> Arc<TicketStore> {
        let key = StoreKey::new(self.key.derive(STORE_PURPOSE));
        let directory = self.directory.path().join("tickets");
        Arc::new(recogniser.ticket_store(&directory, &TenantId::default(), &key).unwrap())
    }

    /// The newest version in the clear.
    pub async fn clear(&self) -> QuantisedNetwork {
        let home = self.client.export_model(&model_id(), &self.key).await.unwrap();
        let plan = Plan::new(&home.model.network).unwrap();
        let bound = home.model.network.bias_bound;
        QuantisedNetwork::new(&plan, &home.stages, bound, DEFAULT_ACTIVATION_BITS).unwrap()
    }

    /// A private training planned for so many steps at the rate that `sphinx train` begins with,
    /// each on its word. The steps of several trainings share the budget.
    pub fn train(&self, steps: u64) -> Training {
        let data = sphinx_mnist::load().unwrap().train;
        let delta = Delta::new(1e-5).unwrap();
        let ledger = self.directory.path().join("ledger");
        if !ledger.exists() {
            ModelLedger::create(&ledger, model_id().as_str(), data.len(), delta).unwrap();
        }
        let target = Target::new(8.0, delta).unwrap();
        let request = TrainingRequest {
            model_id: model_id(),
            key_id: key_id(),
            key: Arc::clone(&self.key),
            options: options(steps, data.len(), target),
            data: Arc::new(data),
            ledger,
            delta,
            seed: None,
            protocol: Protocol::default(),
            shards: NonZeroUsize::MIN,
            pipeline: None,
            memory: Memory::default(),
            account: None,
        };
        let (go, told) = mpsc::channel();
        let (done, finished) = tokio::sync::mpsc::unbounded_channel();
        let client = self.client.clone();
        let task = tokio::spawn(async move {
            // On a thread of its own, which may wait.
            let progress = move |progress: &sphinx_client::Progress| {
                let _ = done.send(progress.step);
                told.recv().is_ok()
            };
            client.train_model(request, progress).await.map(drop)
        });
        Training { begun: false, go, done: finished, task }
    }
}

impl Training {
    /// Waits until so many steps are committed. The first begins by itself.
    pub async fn steps(&mut self, steps: usize) {
        for _ in 0..steps {
            if std::mem::replace(&mut self.begun, true) {
                self.go.send(()).unwrap();
            }
            self.done.recv().await.unwrap();
        }
    }

    pub async fn end(self) {
        drop(self.go);
        self.task.await.unwrap().unwrap();
    }
}

fn options(steps: u64, examples: usize, target: Target) -> TrainingOptions {
    TrainingOptions {
        // More than that: batches are smaller than a block. The tests end it.
        epochs: steps as f64 * 2048.0 / examples as f64,
        blocks: 1,
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: 0.9, nesterov: false },
        learning_rate: 24.0,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::Budget { target, clipping_norm: 0.1 },
    }
}

fn model_id() -> ModelId {
    ModelId::parse("digits").unwrap()
}

fn key_id() -> KeyId {
    KeyId::parse("mine").unwrap()
}
