//! Key vault, inference service and a store with a model whose biases are not zero.

use std::sync::Arc;

use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, KeyId, ModelId, SphinxClient, TenantId};
use sphinx_linalg::{BIAS_WIDTH, EncryptedBiases, SLOTS};
use sphinx_models::{ModelMeta, ModelStore, ModelVersion};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_proto::v1::Network;
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};
use sphinx_runtime::CancellationToken;
use sphinx_secret::SecretKey;
use tempfile::TempDir;
use tokio::net::TcpListener;

pub struct World {
    pub store: TempDir,
    pub endpoints: Endpoints,
    pub key: Arc<SecretKey>,
    pub key_id: KeyId,
    pub rng: ChaCha20Rng,
    /// Stops the services when the world ends.
    shutdown: CancellationToken,
}

/// A model in the store and the same network in the clear.
pub struct Model {
    pub id: ModelId,
    pub meta: ModelMeta,
    pub spec: NetworkSpec,
    pub clear: QuantisedNetwork,
}

impl World {
    /// Starts the services and registers a key.
    pub async fn start() -> Self {
        let store = tempfile::tempdir().unwrap();
        let shutdown = CancellationToken::new();
        let location = store.path().to_str().unwrap().to_owned();
        let (listener, keyvault) = listen().await;
        let mut config = sphinx_keyvault::Config::defaults(&sphinx_keyvault::SERVICE);
        config.store.clone_from(&location);
        let stop = shutdown.clone();
        tokio::spawn(async move { sphinx_keyvault::run(config, listener, stop).await.unwrap() });
        let (listener, inference) = listen().await;
        let mut config = sphinx_inference::Config::defaults(&sphinx_inference::SERVICE);
        (config.store, config.keyvault) = (location, keyvault.clone());
        let stop = shutdown.clone();
        tokio::spawn(async move { sphinx_inference::run(config, listener, stop).await.unwrap() });

        let mut rng = ChaCha20Rng::seed_from_u64(41);
        let key = Arc::new(SecretKey::generate(&mut rng).unwrap());
        let key_id = KeyId::parse("mine").unwrap();
        let endpoints = Endpoints { inference, keyvault, ..Endpoints::default() };
        let client = SphinxClient::new(&endpoints).unwrap();
        client.register_key(&key_id, &key, "test", &mut rng).await.unwrap();
        Self { store, endpoints, key, key_id, rng, shutdown }
    }

    pub fn client(&self) -> SphinxClient {
        SphinxClient::new(&self.endpoints).unwrap()
    }

    pub async fn recogniser(&self, model: &Model) -> Recogniser {
        let key = Arc::clone(&self.key);
        Recogniser::new(&self.client(), &model.id, key, &self.key_id).await.unwrap()
    }

    pub fn models(&self) -> ModelStore {
        ModelStore::open(self.store.path().to_str().unwrap()).unwrap()
    }

    /// Stores a built-in network as version 0 of a model, as a trainer would.
    pub async fn model(&mut self, name: &str) -> Model {
        self.model_of(NetworkSpec::builtin(name).unwrap()).await
    }

    /// The same with any network; the model has its name.
    pub async fn model_of(&mut self, spec: NetworkSpec) -> Model {
        let (version, clear) = self.version(&spec, 0);
        let meta = ModelMeta {
            tenant: TenantId::default(),
            model_id: ModelId::parse(spec.name.as_str()).unwrap(),
            key_id: self.key_id.clone(),
            network: Network::from(&spec).encode_to_vec().into(),
            seed: 0,
            created_unix_seconds: 0,
            incarnation: self.rng.next_u64().to_le_bytes().repeat(2).try_into().unwrap(),
        };
        self.models().create(&meta, version).await.unwrap();
        Model { id: meta.model_id.clone(), meta, spec, clear }
    }

    /// Random weights, and random biases encrypted.
    pub fn version(
        &mut self,
        spec: &NetworkSpec,
        version: u64,
    ) -> (ModelVersion, QuantisedNetwork) {
        self.version_with(spec, version, |_| ())
    }

    /// The same with weights that `change` may change.
    pub fn version_with(
        &mut self,
        spec: &NetworkSpec,
        version: u64,
        change: impl Fn(&mut [StageParameters]),
    ) -> (ModelVersion, QuantisedNetwork) {
        let plan = Plan::new(spec).unwrap();
        let mut parameters = initial_parameters(&plan, &mut self.rng);
        change(&mut parameters);
        let biases = parameters.iter_mut().map(|stage| self.encrypted_biases(stage)).collect();
        let bits = DEFAULT_ACTIVATION_BITS;
        let clear = QuantisedNetwork::new(&plan, &parameters, spec.bias_bound, bits).unwrap();
        let version = ModelVersion {
            version,
            commit: None,
            updated_unix_seconds: 0,
            weights: parameters.into_iter().map(|stage| stage.weights).collect(),
            averaged: None,
            optimizer: bytes::Bytes::new(),
            biases,
        };
        (version, clear)
    }

    /// Draws biases in ±1 on the grid of 2^-16.
    fn encrypted_biases(&mut self, stage: &mut StageParameters) -> bytes::Bytes {
        let mut messages = Vec::new();
        for bias in &mut stage.biases {
            let steps = i64::from(self.rng.next_u32() % 131_073) - 65_536;
            *bias = steps as f32 / 65_536.0;
            messages.extend([(steps << 32).cast_unsigned(); SLOTS]);
        }
        let rows = self.key.encrypt_rows::<u64>(&messages, BIAS_WIDTH, &mut self.rng);
        let mut biases = EncryptedBiases::zero(stage.biases.len());
        biases.add_seeded(0, &rows.seeds, &rows.bodies).unwrap();
        biases.to_bytes().into()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

/// A free loopback port and its address.
pub async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}
