//! Key vault, inference service and a store with a model whose biases are not zero.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, KeyId, ModelId, SphinxClient};
use sphinx_models::{ModelMeta, ModelStore, ModelVersion};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};
use sphinx_secret::{RootKey, SecretKey};
use sphinx_testbed::{Running, encrypted_biases, inference, keyvault, model_meta, model_version};
use tempfile::TempDir;

pub struct World {
    pub store: TempDir,
    pub endpoints: Endpoints,
    pub key: Arc<SecretKey>,
    pub key_id: KeyId,
    pub rng: ChaCha20Rng,
    /// The key vault and the inference service.
    _services: [Running; 2],
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
        let location = store.path().to_str().unwrap().to_owned();
        let keyvault = keyvault(&location).await;
        let inference = inference(&location, &keyvault.url).await;

        let mut rng = ChaCha20Rng::seed_from_u64(41);
        let root = RootKey::generate(&mut rng);
        let key = Arc::new(root.one_shot_key().unwrap());
        let key_id = KeyId::parse("mine").unwrap();
        let endpoints = Endpoints {
            inference: inference.url.clone(),
            keyvault: keyvault.url.clone(),
            ..Endpoints::default()
        };
        let client = SphinxClient::new(&endpoints).unwrap();
        client.register_key(&key_id, &root.identity(), "test").await.unwrap();
        Self { store, endpoints, key, key_id, rng, _services: [keyvault, inference] }
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
        let incarnation = self.rng.next_u64().to_le_bytes().repeat(2).try_into().unwrap();
        let meta = model_meta("default", &spec.name, "mine", &spec, incarnation);
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
        let weights = parameters.into_iter().map(|stage| stage.weights).collect();
        (model_version(version, weights, biases), clear)
    }

    /// Draws biases in ±1 on the grid of 2^-16.
    fn encrypted_biases(&mut self, stage: &mut StageParameters) -> bytes::Bytes {
        for bias in &mut stage.biases {
            *bias = (self.rng.next_u32() % 131_073) as f32 / 65_536.0 - 1.0;
        }
        encrypted_biases(&self.key, &stage.biases, &mut self.rng)
    }
}
