//! A bucket, a key vault on it, and replicas of the other services.

use std::path::PathBuf;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::{Endpoints, ModelLedger, ModelName, SphinxClient};
use sphinx_network::{Plan, StageParameters};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};
use sphinx_secret::RootKey;
use sphinx_testbed::s3::{S3Server, environment};
use sphinx_testbed::training::{EXAMPLES, delta, key_id, model_id, small};
use sphinx_testbed::{Place, Process};
use tempfile::TempDir;

/// The bucket of every world.
const BUCKET: &str = "sphinx";
const NOBODY: &str = "http://127.0.0.1:1";

/// A store and who watches its keys.
pub struct World {
    /// Holds the buckets, or the store itself, and ledgers.
    pub directory: TempDir,
    pub key: Arc<RootKey>,
    pub place: Place,
    pub keyvault: Process,
    _server: Option<S3Server>,
}

impl World {
    /// On a bucket of an S3 server.
    pub async fn in_bucket() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let buckets = directory.path().join("buckets");
        std::fs::create_dir_all(buckets.join(BUCKET)).unwrap();
        let server = S3Server::start(&buckets).await;
        let place = bucket(&server, &format!("s3://{BUCKET}/house"));
        Self::start(directory, place, Some(server)).await
    }

    /// In a directory of this machine.
    pub async fn in_directory() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let store = directory.path().join("store").to_str().unwrap().to_owned();
        Self::start(directory, Place { store, ..Place::default() }, None).await
    }

    async fn start(directory: TempDir, place: Place, server: Option<S3Server>) -> Self {
        let keyvault = Process::start(&sphinx_keyvault::SERVICE, place.clone());
        let place = Place { keyvault: keyvault.url(), ..place };
        let key = Arc::new(RootKey::generate(&mut ChaCha20Rng::seed_from_u64(41)));
        let world = Self { directory, key, place, keyvault, _server: server };
        let client = world.client("", "");
        client.register_key(&key_id(), &world.key.identity(), "test").await.unwrap();
        world
    }

    pub fn trainer(&self) -> Process {
        Process::start(&sphinx_trainer::SERVICE, self.place.clone())
    }

    pub fn inference(&self) -> Process {
        Process::start(&sphinx_inference::SERVICE, self.place.clone())
    }

    /// Of these services, or of none where the address is empty.
    pub fn client(&self, trainer: &str, inference: &str) -> SphinxClient {
        let address = |url: &str| if url.is_empty() { NOBODY } else { url }.to_owned();
        let endpoints = Endpoints {
            trainer: address(trainer),
            inference: address(inference),
            keyvault: self.keyvault.url(),
            ..Endpoints::default()
        };
        SphinxClient::new(&endpoints).unwrap()
    }

    /// The model of [`small`] with a ledger of its own.
    pub async fn create_model(&self, client: &SphinxClient) {
        client.create_model(&model_id(), &key_id(), &small(), 5).await.unwrap();
        ModelLedger::create(&self.ledger(), "m", EXAMPLES, delta()).unwrap();
    }

    pub fn ledger(&self) -> PathBuf {
        self.directory.path().join("ledger")
    }

    /// Recognition by the newest version of the model.
    pub async fn recogniser(&self, client: &SphinxClient) -> Recogniser {
        let served = client.served_model(&model_id()).await.unwrap();
        let name = ModelName {
            tenant: "default".to_owned(),
            model: "m".to_owned(),
            incarnation: served.incarnation,
        };
        Recogniser::new(client, Arc::new(self.key.read_key(&name))).await.unwrap()
    }

    /// Weights and biases of the newest version at a trainer.
    pub async fn parameters(&self, client: &SphinxClient) -> Vec<StageParameters> {
        client.export_model(&model_id(), &self.key).await.unwrap().stages
    }
}

/// What a service is told that has its store in a bucket of this server.
pub fn bucket(server: &S3Server, store: &str) -> Place {
    let known = environment().map(|(name, value)| (name.to_owned(), value.to_owned()));
    let mut environment = known.to_vec();
    environment.push(("AWS_ENDPOINT".to_owned(), server.url.clone()));
    Place { store: store.to_owned(), environment, ..Place::default() }
}

/// The same network in the clear.
pub fn in_the_clear(parameters: &[StageParameters]) -> QuantisedNetwork {
    let (spec, bits) = (small(), DEFAULT_ACTIVATION_BITS);
    let plan = Plan::new(&spec).unwrap();
    QuantisedNetwork::new(&plan, parameters, spec.bias_bound, bits).unwrap()
}

/// Parameters by their bits.
pub fn bits(stages: Vec<StageParameters>) -> Vec<Vec<u32>> {
    let vectors = stages.into_iter().flat_map(|stage| [stage.weights, stage.biases]);
    vectors.map(|vector| vector.into_iter().map(f32::to_bits).collect()).collect()
}
