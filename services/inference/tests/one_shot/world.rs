//! A key vault in this process, an inference service as one of its own, keys and models.

use std::{process::Stdio, sync::OnceLock, time::Duration};

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_bootstrap::{DEFAULT_HALF_RANGE, OneShotNetwork, Simulation, SimulationNoise};
use sphinx_evaluation_keys::{Answer, OneShotProfile, QueryLayout};
use sphinx_models::{ModelMeta, ModelStore};
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_proto::v1::{
    DeleteKeyRequest, FindUploadRequest, InferOnceRequest, InferOnceResponse, KeyKind,
    RevokeKeyRequest, inference_client::InferenceClient, key_vault_client::KeyVaultClient,
};
use sphinx_secret::SecretKey;
use sphinx_testbed::{
    Running, first_version, key_header, keyvault, model_meta, of_tenant, one_shot_biases, upload,
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
    time::timeout,
};
use tonic::{Status, transport::Channel};

pub const EVALUATION: i32 = KeyKind::Evaluation as i32;

/// Who asks when a request names nobody.
const DEFAULT_TENANT: &str = "default";

/// 12 neurons.
pub const SMALL: &str = r#"
    name = "small"
    input = { channels = 1, height = 6, width = 6 }
    layers = [
        { kind = "dense", outputs = 12 },
        { kind = "quantised_tanh", levels = 8 },
        { kind = "dense", outputs = 3 },
    ]
"#;

/// 288 neurons: some seconds on two cores.
pub const LARGE: &str = r#"
    name = "large"
    input = { channels = 1, height = 14, width = 14 }
    layers = [
        { kind = "conv", out_channels = 2, kernel = 3 },
        { kind = "quantised_tanh", levels = 4 },
        { kind = "dense", outputs = 3 },
    ]
"#;

/// 3380 neurons: longer than any test waits.
pub const HUGE: &str = r#"
    name = "huge"
    input = { channels = 1, height = 28, width = 28 }
    layers = [
        { kind = "conv", out_channels = 5, kernel = 3 },
        { kind = "quantised_tanh", levels = 4 },
        { kind = "dense", outputs = 3 },
    ]
"#;

/// What a client has.
pub struct Party {
    pub key: SecretKey,
    /// Its evaluation keys, serialised, and others of the same secret key.
    pub evaluation: [Vec<u8>; 2],
}

pub struct World {
    pub inference: InferenceClient<Channel>,
    pub vault: KeyVaultClient<Channel>,
    pub process: Child,
    pub models: ModelStore,
    pub store: TempDir,
    log: TempDir,
    _keyvault: Running,
}

/// A stored model, and what its owner knows of it.
pub struct Model {
    pub plan: Plan,
    pub layout: QueryLayout,
    /// None for networks that one-shot recognition cannot evaluate.
    pub simulation: Option<Simulation>,
    pub id: &'static str,
    pub key_id: String,
    pub biases: Vec<Vec<f32>>,
    meta: ModelMeta,
    owner: &'static Party,
}

/// The keys of nearly all tests, made once.
pub fn party() -> &'static Party {
    static PARTY: OnceLock<Party> = OnceLock::new();
    PARTY.get_or_init(|| Party::new(3))
}

/// Somebody else's.
pub fn stranger() -> &'static Party {
    static PARTY: OnceLock<Party> = OnceLock::new();
    PARTY.get_or_init(|| Party::new(4))
}

impl Party {
    fn new(seed: u64) -> Self {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let key = SecretKey::generate(&mut rng).unwrap();
        let mut evaluation = || {
            let keys = key.evaluation_keys(OneShotProfile::Standard, &mut rng).unwrap();
            keys.to_bytes().unwrap()
        };
        let evaluation = [evaluation(), evaluation()];
        Self { key, evaluation }
    }
}

/// With a pool that the client would have to do.
pub const POOLED: &str = r#"
    name = "pooled"
    input = { channels = 1, height = 6, width = 6 }
    layers = [
        { kind = "conv", out_channels = 2, kernel = 3 },
        { kind = "tanh" },
        { kind = "avg_pool", size = 2 },
        { kind = "dense", outputs = 3 },
    ]
"#;

impl World {
    pub async fn start(environment: &[(&str, &str)]) -> Self {
        let store = tempfile::tempdir().unwrap();
        let location = store.path().to_str().unwrap().to_owned();
        let keyvault = keyvault(&location).await;

        let log = tempfile::tempdir().unwrap();
        let lines = std::fs::File::create(log.path().join("log")).unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_sphinx-inference"))
            .args(["--listen", "127.0.0.1:0", "--store", &location, "--keyvault", &keyvault.url])
            .env("SPHINX_INFERENCE__COMPUTE_THREADS", "2")
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(lines)
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let line = timeout(Duration::from_secs(20), lines.next_line()).await.unwrap().unwrap();
        let address = line.unwrap().strip_prefix("listening on ").unwrap().to_owned();
        let inference = InferenceClient::connect(format!("http://{address}")).await.unwrap();
        let vault = KeyVaultClient::connect(keyvault.url.clone()).await.unwrap();
        let models = ModelStore::open(&location).unwrap();
        Self { inference, vault, process, models, store, log, _keyvault: keyvault }
    }

    /// What the inference service has logged so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log.path().join("log")).unwrap()
    }

    /// Registers evaluation keys under an id and returns their fingerprint.
    pub async fn register(&self, key_id: &str, material: &[u8]) -> String {
        self.register_as(DEFAULT_TENANT, key_id, material).await
    }

    /// The same, of a tenant.
    pub async fn register_as(&self, tenant: &str, key_id: &str, material: &[u8]) -> String {
        let mut header = key_header(key_id, KeyKind::Evaluation, material);
        let mut vault = self.vault.clone();
        let request = FindUploadRequest { header: Some(header.clone()) };
        let found = vault.find_upload(of_tenant(tenant, request)).await.unwrap();
        header.offset = found.into_inner().stored_bytes;
        let rest = &material[usize::try_from(header.offset).unwrap()..];
        let parts = of_tenant(tenant, tokio_stream::iter(upload(header, rest, 1 << 20)));
        let receipt = vault.exchange_keys(parts).await.unwrap();
        receipt.into_inner().key.unwrap().fingerprint
    }

    pub async fn remove(&self, key_id: &str) {
        let request = DeleteKeyRequest { key_id: key_id.to_owned(), kind: EVALUATION };
        self.vault.clone().delete_key(request).await.unwrap();
    }

    /// Revokes a key.
    pub async fn revoke(&self, key_id: &str) {
        let request = RevokeKeyRequest { key_id: key_id.to_owned() };
        self.vault.clone().revoke_key(request).await.unwrap();
    }

    /// Stores version 0 of a model with random parameters.
    pub async fn model(&self, id: &'static str, key_id: &str, spec: &str) -> Model {
        self.model_as(DEFAULT_TENANT, party(), id, key_id, spec).await
    }

    /// The same, of a tenant with keys of its own.
    pub async fn model_as(
        &self,
        tenant: &str,
        owner: &'static Party,
        id: &'static str,
        key_id: &str,
        spec: &str,
    ) -> Model {
        let model = self.bare_model(tenant, owner, id, key_id, spec).await;
        self.put_biases(&model, &model.biases).await;
        model
    }

    /// The same without encrypted biases.
    pub async fn bare_model(
        &self,
        tenant: &str,
        owner: &'static Party,
        id: &'static str,
        key_id: &str,
        spec: &str,
    ) -> Model {
        let spec = NetworkSpec::from_toml(spec).unwrap();
        let plan = Plan::new(&spec).unwrap();
        let mut rng = ChaCha20Rng::seed_from_u64(5);
        let mut parameters = initial_parameters(&plan, &mut rng);
        for stage in &mut parameters {
            let count = stage.biases.len();
            // On the grid of encrypted biases.
            stage.biases = (0..count).map(|index| (index % 5) as f32 / 4.0 - 0.5).collect();
        }
        let meta = model_meta(tenant, id, key_id, &spec, [7; 16]);
        let weights: Vec<Vec<f32>> = parameters.iter().map(|stage| stage.weights.clone()).collect();
        let biases: Vec<Vec<f32>> = parameters.iter().map(|stage| stage.biases.clone()).collect();
        let profile = OneShotProfile::Standard;
        let simulation =
            OneShotNetwork::new(profile, &plan, &weights, spec.bias_bound, DEFAULT_HALF_RANGE)
                .map(|network| Simulation::new(network.into(), &biases).unwrap());
        self.models.create(&meta, first_version(&meta, weights)).await.unwrap();
        let (layout, simulation) = (QueryLayout::new(&plan).unwrap(), simulation.ok());
        let key_id = key_id.to_owned();
        Model { layout, simulation, plan, id, key_id, meta, biases, owner }
    }

    /// Puts encrypted biases beside version 0 of a model, as its trainer would.
    pub async fn put_biases(&self, model: &Model, biases: &[Vec<f32>]) {
        let biases = one_shot_biases(&model.owner.key, biases);
        self.models.put_biases(&model.meta, 0, biases).await.unwrap();
    }

    pub async fn infer(&self, request: InferOnceRequest) -> Result<InferOnceResponse, Status> {
        self.infer_as(DEFAULT_TENANT, request).await
    }

    /// The same, of a tenant.
    pub async fn infer_as(
        &self,
        tenant: &str,
        request: InferOnceRequest,
    ) -> Result<InferOnceResponse, Status> {
        let request = of_tenant(tenant, request);
        Ok(self.inference.clone().infer_once(request).await?.into_inner())
    }
}

impl Model {
    /// A right request for an image.
    pub fn request(&self, image: &[f32]) -> InferOnceRequest {
        let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
        let query = self.owner.key.encrypt_query(&self.layout, image, &mut rng).unwrap();
        InferOnceRequest {
            model_id: self.id.to_owned(),
            key_id: self.key_id.clone(),
            version: None,
            incarnation: bytes::Bytes::new(),
            fingerprint: String::new(),
            seed: query.seeds.concat().into(),
            bodies: query.bodies.into(),
        }
    }

    pub fn image(&self, seed: usize) -> Vec<f32> {
        let pixel = |index: usize| ((index * 37 + seed * 101) % 17) as f32 / 16.0;
        (0..self.plan.input.len()).map(pixel).collect()
    }

    /// The logits that an answer holds.
    pub fn decrypt(&self, answer: InferOnceResponse) -> Vec<f64> {
        let InferOnceResponse { mask, bodies, logit_scale, .. } = answer;
        let answer = Answer { mask: mask.into(), bodies: bodies.into(), scale: logit_scale };
        self.owner.key.decrypt_answer(&answer, self.plan.classes).unwrap()
    }

    /// Asserts that an answer holds logits of this network for an image: noise can move activations
    /// by a level, so each has to lie about where simulations have it.
    pub fn check(&self, image: &[f32], answer: InferOnceResponse) {
        let (mut rng, noise) = (ChaCha20Rng::seed_from_u64(1), SimulationNoise::Predicted);
        let simulation = self.simulation.as_ref().unwrap();
        let simulated: Vec<Vec<f64>> =
            (0..200).map(|_| simulation.logits(image, noise, &mut rng)).collect();
        for (class, logit) in self.decrypt(answer).into_iter().enumerate() {
            let logits = simulated.iter().map(|logits| logits[class]);
            let (low, high) = logits.fold((f64::MAX, f64::MIN), |(l, h), x| (l.min(x), h.max(x)));
            let beyond = 0.1 + (high - low) / 4.0;
            assert!((low - beyond..high + beyond).contains(&logit), "{logit} not in {low}..{high}");
        }
    }
}
