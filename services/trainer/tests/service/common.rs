//! A key vault and a trainer on real sockets, and what clients ask of them.

use std::net::SocketAddr;

use prost::Message;
use sha2::{Digest, Sha256};
use sphinx_proto::Reason;
use sphinx_proto::v1::{
    Conv, CreateModelRequest, Dense, GetModelRequest, GetModelResponse, Layer, ListModelsRequest,
    Model, Network, OptimizerPart, ParameterSet, Shape, Tanh, VersionState, WeightsPart,
    get_model_request::Part, layer::Kind, trainer_client::TrainerClient,
};
use sphinx_runtime::{CancellationToken, Config, RunError};
pub use sphinx_testbed::of_tenant;
use sphinx_testbed::{Running, register_key, revoke_key};
use sphinx_trainer::{SERVICE, TrainerLimits};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Status, transport::Channel};

use crate::mirror::floats;

/// The key that [`start`] registers for the default tenant.
pub const KEY: &str = "laptop";

/// A key vault in this process.
pub struct Vault {
    pub running: Running,
    _dir: TempDir,
}

impl Vault {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let running = sphinx_testbed::keyvault(dir.path().to_str().unwrap()).await;
        Self { running, _dir: dir }
    }

    /// Registers a key of a tenant.
    pub async fn register(&self, tenant: &str, key_id: &str) {
        register_key(&self.running.url, tenant, key_id).await;
    }

    /// Revokes a key of a tenant.
    pub async fn revoke(&self, tenant: &str, key_id: &str) {
        revoke_key(&self.running.url, tenant, key_id).await;
    }
}

/// A running trainer with its key vault.
pub struct Trainer {
    pub address: SocketAddr,
    pub client: TrainerClient<Channel>,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<Result<(), RunError>>,
    pub vault: Vault,
    pub dir: TempDir,
}

/// Starts both with the defaults, the trainer's changed by `change`.
pub async fn start(change: impl FnOnce(&mut Config<TrainerLimits>)) -> Trainer {
    let vault = Vault::start().await;
    vault.register("default", KEY).await;
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::defaults(&SERVICE);
    config.store = dir.path().to_str().unwrap().to_owned();
    config.keyvault = vault.running.url.clone();
    change(&mut config);
    config.validate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(sphinx_trainer::run(config, listener, shutdown.clone()));
    let client = connect(address).await;
    Trainer { address, client, shutdown, served, vault, dir }
}

/// A trainer with the model `m`.
pub async fn start_with_model(change: impl FnOnce(&mut Config<TrainerLimits>)) -> Trainer {
    let mut trainer = start(change).await;
    trainer.create("m").await.unwrap();
    trainer
}

pub async fn connect(address: SocketAddr) -> TrainerClient<Channel> {
    TrainerClient::connect(format!("http://{address}")).await.unwrap()
}

impl Trainer {
    pub async fn create(&mut self, model_id: &str) -> Result<Model, Status> {
        self.create_as(creation(model_id)).await
    }

    pub async fn create_as(&mut self, request: CreateModelRequest) -> Result<Model, Status> {
        Ok(self.client.create_model(request).await?.into_inner().model.unwrap())
    }

    pub async fn part(&mut self, part: Option<Part>) -> Result<GetModelResponse, Status> {
        let request = GetModelRequest { model_id: "m".to_owned(), part, version: None };
        Ok(self.client.get_model(request).await?.into_inner())
    }

    /// Everything that a commit changes: version, its state, weights and optimiser of both stages.
    pub async fn parameters(&mut self) -> Parameters {
        let version = self.part(None).await.unwrap().model.unwrap().version;
        let mut bytes = vec![self.state().await.encode_to_vec()];
        for stage in 0..2 {
            let (offset, count) = (0, 1000);
            let weights = Part::Weights(WeightsPart { stage, offset, count });
            let optimizer = Part::Optimizer(OptimizerPart { stage, offset, count });
            bytes.push(self.part(Some(weights)).await.unwrap().weights.to_vec());
            bytes.push(self.part(Some(optimizer)).await.unwrap().optimizer.to_vec());
        }
        Parameters { version, bytes }
    }

    /// The state of the newest version.
    pub async fn state(&mut self) -> VersionState {
        let part = Part::Weights(WeightsPart { stage: 0, offset: 0, count: 1 });
        self.part(Some(part)).await.unwrap().state.unwrap()
    }

    /// The weights of a stage.
    pub async fn weights(&mut self, stage: u32) -> Vec<f32> {
        let part = Part::Weights(WeightsPart { stage, offset: 0, count: 1000 });
        floats(&self.part(Some(part)).await.unwrap().weights)
    }

    pub async fn models(&mut self, tenant: &'static str) -> Vec<String> {
        let request = of_tenant(tenant, ListModelsRequest {});
        let models = self.client.list_models(request).await.unwrap().into_inner().models;
        models.into_iter().map(|model| model.model_id).collect()
    }
}

/// What is stored of the model `m`.
#[derive(PartialEq)]
pub struct Parameters {
    pub version: u64,
    bytes: Vec<Vec<u8>>,
}

impl std::fmt::Debug for Parameters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digests = self.bytes.iter().map(|bytes| Sha256::digest(bytes).to_vec());
        f.debug_struct("Parameters")
            .field("version", &self.version)
            .field("digests", &digests.collect::<Vec<_>>())
            .finish()
    }
}

pub fn creation(model_id: &str) -> CreateModelRequest {
    CreateModelRequest {
        model_id: model_id.to_owned(),
        key_id: KEY.to_owned(),
        network: Some(network()),
        seed: 7,
        parameter_set: ParameterSet::Glwe2048V1.into(),
        weights_sha256: Default::default(),
    }
}

/// Two stages: a convolution of 36 rows to 32 with 18 weights, a dense layer of 32 rows to 3
/// with 96.
pub fn network() -> Network {
    let conv = Conv { out_channels: 2, kernel: 3, stride: 1, ..Conv::default() };
    network_of([Kind::Conv(conv), Kind::Tanh(Tanh {}), Kind::Dense(Dense { outputs: 3 })])
}

pub fn network_of(layers: impl IntoIterator<Item = Kind>) -> Network {
    Network {
        name: "two stages".to_owned(),
        input: Some(Shape { channels: 1, height: 6, width: 6 }),
        layers: layers.into_iter().map(|kind| Layer { kind: Some(kind) }).collect(),
        bias_bound: 4.0,
    }
}

/// The refusal of a request, with the code and the words it must have.
#[track_caller]
pub fn assert_refused(status: &Status, code: tonic::Code, words: &str) {
    assert_eq!(status.code(), code, "{status:?}");
    assert!(status.message().contains(words), "expected {words:?} in {:?}", status.message());
    // Every ABORTED says what to do next, and nothing else does.
    assert_eq!(Reason::of(status).is_some(), code == tonic::Code::Aborted, "{status:?}");
}

/// The refusal of a stream that does not arrive as it was sent.
#[track_caller]
pub fn assert_broken(status: &Status, words: &str) {
    assert_refused(status, tonic::Code::Aborted, words);
    assert_eq!(Reason::of(status), Some(Reason::StreamBroken), "{status:?}");
}

/// The refusal of a commit on a version that is no longer the newest.
#[track_caller]
pub fn assert_moved(status: &Status, words: &str) {
    assert_refused(status, tonic::Code::Aborted, words);
    assert_eq!(Reason::of(status), Some(Reason::BaseMoved), "{status:?}");
}
