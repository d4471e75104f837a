//! What blocks cost, and one replica against two.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Instant;

use sphinx_client::data::Dataset;
use sphinx_client::{
    Decay, EncryptedSession, Endpoints, Event, Inputs, KeyId, ModelId, Observed, OptimizerSpec,
    Plan, Privacy, Progress, Protocol, RootKey, SessionId, SessionOptions, SphinxClient, Traffic,
    TrainingOptions, secure_rng, train_with_inputs,
};
use sphinx_cluster::Usage;
use sphinx_network::NetworkSpec;
use sphinx_testbed::{Place, Process};
use tempfile::TempDir;

/// Steps before the clock starts.
const WARM_UP: usize = 1;

/// What a block of 2048 slots costs.
#[derive(Debug, Clone, Copy)]
pub struct Block {
    /// Blocks that went together.
    pub together: usize,
    /// Seconds of the client's CPU, everything included.
    pub client_cpu: f64,
    /// Seconds of the trainer's.
    pub trainer_cpu: f64,
    pub bytes_up: f64,
    pub bytes_down: f64,
}

/// What a training costs.
#[derive(Debug)]
pub struct Costs {
    /// By the number of blocks that go together, ascending.
    pub blocks: Vec<Block>,
    /// Seconds and bytes of a commit.
    pub commit: f64,
    pub commit_bytes: f64,
}

impl Costs {
    /// Of a block where so many go together.
    pub fn per_block(&self, together: usize) -> Block {
        *self.blocks.iter().find(|block| block.together >= together).unwrap()
    }
}

/// Services on one store, and who trains there.
pub struct World {
    spec: NetworkSpec,
    data: Dataset,
    key: Arc<RootKey>,
    place: Place,
    keyvault: Process,
    _directory: TempDir,
}

/// Some steps as they went.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    pub images_per_second: f64,
    pub per_block: Block,
    commit: f64,
}

impl World {
    pub async fn start(spec: NetworkSpec) -> Self {
        let directory = TempDir::new().unwrap();
        let store = directory.path().join("store").to_str().unwrap().to_owned();
        let place = Place { store, ..Place::default() };
        let keyvault = Process::start(&sphinx_keyvault::SERVICE, place.clone());
        let place = Place { keyvault: keyvault.url(), ..place };
        let key = Arc::new(RootKey::generate(&mut secure_rng()));
        let data = sphinx_mnist::load().unwrap().train;
        let world = Self { spec, data, key, place, keyvault, _directory: directory };
        let client = world.client(&[]);
        client.register_key(&key_id(), &world.key.identity(), "").await.unwrap();
        world
    }

    /// A trainer that computes on so many threads.
    pub fn trainer(&self, threads: usize) -> Process {
        let place = Place { compute_threads: Some(threads), ..self.place.clone() };
        Process::start(&sphinx_trainer::SERVICE, place)
    }

    fn client(&self, trainers: &[&Process]) -> SphinxClient {
        let mut urls = trainers.iter().map(|trainer| trainer.url());
        let endpoints = Endpoints { keyvault: self.keyvault.url(), ..Endpoints::default() };
        let trainer = urls.next().unwrap_or(endpoints.trainer);
        let further_trainers = urls.collect();
        SphinxClient::new(&Endpoints { trainer, further_trainers, ..endpoints }).unwrap()
    }

    pub async fn create(&self, trainer: &Process, model: &str) {
        let (client, model) = (self.client(&[trainer]), ModelId::parse(model).unwrap());
        client.create_model(&model, &key_id(), &self.spec, 1).await.unwrap();
    }

    /// Trains some steps of a model at these trainers, a shard at each.
    pub async fn train(
        &self,
        trainers: &[&Process],
        model: &str,
        (blocks, steps): (usize, usize),
    ) -> Run {
        let options = options(blocks);
        let session = SessionOptions {
            model_id: ModelId::parse(model).unwrap(),
            key_id: key_id(),
            key: Arc::clone(&self.key),
            session_id: SessionId(rand::random()),
            rule: options.rule(self.data.len()).unwrap(),
            protocol: Protocol::default(),
        };
        let client = self.client(trainers);
        let shards = trainers.len();
        let session = EncryptedSession::open(&client, session).await.unwrap();
        let session = session.sharded(NonZeroUsize::new(shards).unwrap()).await.unwrap();
        // Of a trainer at which several shards are, once.
        let mut pids: Vec<u32> = trainers.iter().map(|trainer| trainer.pid()).collect();
        pids.dedup();
        let (spec, data) = (self.spec.clone(), self.data.clone());
        let trained = tokio::task::spawn_blocking(move || {
            let inputs = Inputs::new(&Plan::new(&spec).unwrap(), &data).unwrap();
            let (mut marks, mut commits, mut begun) = (Vec::new(), Vec::new(), Instant::now());
            let mut session = Observed::new(session, |_, event| match event {
                Event::Committing { .. } => begun = Instant::now(),
                Event::Committed { .. } => commits.push(begun.elapsed().as_secs_f64()),
            });
            let mut go_on = |made: &Progress| {
                marks.push(Mark::now(&pids, made.traffic));
                marks.len() < WARM_UP + steps
            };
            train_with_inputs(&mut session, &spec, &inputs, &options, [1; 32], &mut go_on).unwrap();
            drop(session);
            let (from, to) = (marks[WARM_UP - 1], marks[WARM_UP + steps - 1]);
            let all = (blocks * steps) as f64;
            let per_block = Block {
                together: blocks / shards,
                client_cpu: (to.client - from.client) / all,
                trainer_cpu: (to.trainers - from.trainers) / all,
                bytes_up: (to.traffic.up - from.traffic.up) as f64 / all,
                bytes_down: (to.traffic.down - from.traffic.down) as f64 / all,
            };
            let images_per_second = 2048.0 * all / (to.at - from.at).as_secs_f64();
            Run { images_per_second, per_block, commit: crate::median(commits) }
        });
        trained.await.unwrap()
    }

    /// What blocks cost by how many go together, on a trainer with two threads.
    pub async fn costs(&self, steps: usize) -> Costs {
        let trainer = self.trainer(2);
        self.create(&trainer, "costs").await;
        let (mut blocks, mut commits) = (Vec::new(), Vec::new());
        for together in [1, 2, 4] {
            let run = self.train(&[&trainer], "costs", (together, steps)).await;
            blocks.push(run.per_block);
            commits.push(run.commit);
        }
        let plan = Plan::new(&self.spec).unwrap();
        // What is sealed is a few kilobytes beside the gradient.
        let commit_bytes = 4.0 * plan.weight_count() as f64;
        Costs { blocks, commit: crate::median(commits), commit_bytes }
    }
}

#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    client: f64,
    trainers: f64,
    traffic: Traffic,
}

impl Mark {
    fn now(trainers: &[u32], traffic: Traffic) -> Self {
        let cpu = |pid: u32| Usage::of(pid).unwrap().cpu_seconds;
        let (at, client) = (Instant::now(), cpu(std::process::id()));
        Self { at, client, trainers: trainers.iter().map(|pid| cpu(*pid)).sum(), traffic }
    }
}

fn key_id() -> KeyId {
    KeyId::parse("k").unwrap()
}

/// Exact gradients: noise and ledger are costs of a step, not of its blocks.
fn options(blocks: usize) -> TrainingOptions {
    TrainingOptions {
        epochs: 100.0,
        blocks: blocks as u64,
        batch: None,
        optimizer: OptimizerSpec::ADAM,
        learning_rate: 0.001,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::None,
    }
}
