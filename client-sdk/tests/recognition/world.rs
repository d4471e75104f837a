//! Key vault, inference service and a store with a model whose biases are not zero.

use std::sync::Arc;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, KeyId, ModelId, SphinxClient};
use sphinx_models::{ModelMeta, ModelStore, ModelVersion};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};
use sphinx_secret::{ReadKey, RootKey, SecretKey};
use sphinx_testbed::{
    Running, first_version, inference, keyvault, model_meta, next_version, one_shot_biases,
    read_key,
};
use tempfile::TempDir;

pub struct World {
    pub store: TempDir,
    pub endpoints: Endpoints,
    pub root: RootKey,
    /// Of recognition in one shot.
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
    /// The newest version.
    pub newest: ModelVersion,
    /// Of that one.
    pub biases: Vec<Vec<f32>>,
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
        Self { store, endpoints, root, key, key_id, rng, _services: [keyvault, inference] }
    }

    pub fn client(&self) -> SphinxClient {
        SphinxClient::new(&self.endpoints).unwrap()
    }

    pub fn read_key(&self, model: &Model) -> Arc<ReadKey> {
        Arc::new(read_key(&self.root, &model.meta))
    }

    pub async fn recogniser(&self, model: &Model) -> Recogniser {
        Recogniser::new(&self.client(), self.read_key(model)).await.unwrap()
    }

    pub fn models(&self) -> ModelStore {
        ModelStore::open(self.store.path().to_str().unwrap()).unwrap()
    }

    /// Stores a built-in network as version 1 of a model, as a trainer would.
    pub async fn model(&mut self, name: &str) -> Model {
        self.model_of(NetworkSpec::builtin(name).unwrap()).await
    }

    /// The same with any network; the model has its name.
    pub async fn model_of(&mut self, spec: NetworkSpec) -> Model {
        let incarnation = self.rng.next_u64().to_le_bytes().repeat(2).try_into().unwrap();
        let meta = model_meta("default", &spec.name, "mine", &spec, incarnation);
        let plan = Plan::new(&spec).unwrap();
        let mut parameters = initial_parameters(&plan, &mut self.rng);
        parameters.iter_mut().for_each(|stage| stage.biases.fill(0.0));
        let clear = quantised(&spec, &parameters);
        let biases = parameters.iter().map(|stage| stage.biases.clone()).collect();
        let weights = parameters.into_iter().map(|stage| stage.weights).collect();
        let newest = first_version(&meta, weights);
        self.models().create(&meta, newest.clone()).await.unwrap();
        let id = meta.model_id.clone();
        let mut model = Model { id, meta, spec, clear, newest, biases };
        self.commit(&mut model).await;
        model
    }

    /// Stores the next version: random weights, and random biases in ±1 on the grid of 2^-16.
    pub async fn commit(&mut self, model: &mut Model) {
        self.commit_with(model, |_| ()).await;
    }

    /// The same with weights that `change` may change.
    pub async fn commit_with(
        &mut self,
        model: &mut Model,
        change: impl Fn(&mut [StageParameters]),
    ) {
        let plan = Plan::new(&model.spec).unwrap();
        let mut parameters = initial_parameters(&plan, &mut self.rng);
        change(&mut parameters);
        for bias in parameters.iter_mut().flat_map(|stage| &mut stage.biases) {
            *bias = (self.rng.next_u32() % 131_073) as f32 / 65_536.0 - 1.0;
        }
        model.clear = quantised(&model.spec, &parameters);
        model.biases = parameters.iter().map(|stage| stage.biases.clone()).collect();
        let weights = parameters.into_iter().map(|stage| stage.weights).collect();
        let key = read_key(&self.root, &model.meta);
        model.newest = next_version(&model.meta, &key, &model.newest, weights, &model.biases);
        self.models().commit(&model.meta, model.newest.clone()).await.unwrap();
        // There is no trainer that the client could put them at.
        let biases = one_shot_biases(&self.key, &model.biases);
        let version = model.newest.version;
        self.models().put_biases(&model.meta, version, biases).await.unwrap();
    }
}

fn quantised(spec: &NetworkSpec, parameters: &[StageParameters]) -> QuantisedNetwork {
    let plan = Plan::new(spec).unwrap();
    QuantisedNetwork::new(&plan, parameters, spec.bias_bound, DEFAULT_ACTIVATION_BITS).unwrap()
}
