//! A key vault, an inference service and a stored model of three stages.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_inference::{Config, InferenceLimits};
use sphinx_linalg::{LinearMap, POLYNOMIAL_SIZE, SEED_BYTES};
use sphinx_models::ModelStore;
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_proto::Reason;
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, InferRequest, ParameterSet, PrepareHeader,
    PrepareInput, PrepareRequest, PrepareResponse, inference_client::InferenceClient,
    prepare_request::Part,
};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, InferenceStage};
use sphinx_testbed::{
    Running, first_version, inference_with, keyvault, model_meta, register_key, revoke_key,
};
use tempfile::TempDir;
use tonic::transport::Channel;
use tonic::{Code, Status, Streaming};

/// Rows of the first stage.
pub const INPUTS: usize = 36;

pub struct Service {
    pub client: InferenceClient<Channel>,
    pub described: DescribeModelResponse,
    pub maps: Vec<LinearMap>,
    pub rng: ChaCha20Rng,
    _store: TempDir,
    services: [Running; 2],
}

const SPEC: &str = r#"
    name = "small"
    input = { channels = 1, height = 6, width = 6 }
    [[layers]]
    kind = "conv"
    out_channels = 10
    kernel = 3
    [[layers]]
    kind = "tanh"
    [[layers]]
    kind = "dense"
    outputs = 5
"#;

const LINEAR: &str = r#"
    name = "linear"
    input = { channels = 1, height = 6, width = 6 }
    [[layers]]
    kind = "dense"
    outputs = 5
"#;

impl Service {
    pub async fn start() -> Self {
        Self::with_limits(InferenceLimits::default()).await
    }

    pub async fn with_limits(limits: InferenceLimits) -> Self {
        Self::with_config(|config| config.limits = limits).await
    }

    pub async fn with_config(change: impl FnOnce(&mut Config)) -> Self {
        let store = tempfile::tempdir().unwrap();
        let location = store.path().to_str().unwrap().to_owned();
        let mut rng = ChaCha20Rng::seed_from_u64(77);

        let keyvault = keyvault(&location).await;
        register_key(&keyvault.url, "default", "mine").await;

        let spec = NetworkSpec::from_toml(SPEC).unwrap();
        let models = ModelStore::open(&location).unwrap();
        let maps = store_model(&models, "small", "mine", &spec, &mut rng).await;
        // Its key was never registered.
        store_model(&models, "stray", "nobodys", &spec, &mut rng).await;
        let one_layer = NetworkSpec::from_toml(LINEAR).unwrap();
        store_model(&models, "linear", "mine", &one_layer, &mut rng).await;

        let service = inference_with(&location, &keyvault.url, change).await;
        let mut client = InferenceClient::connect(service.url.clone()).await.unwrap();
        let request = DescribeModelRequest { model_id: "small".to_owned(), version: None };
        let described = client.describe_model(request).await.unwrap().into_inner();
        Self { client, described, maps, rng, _store: store, services: [keyvault, service] }
    }

    /// A client with a connection of its own.
    pub async fn another_client(&self) -> InferenceClient<Channel> {
        let [_, inference] = &self.services;
        InferenceClient::connect(inference.url.clone()).await.unwrap()
    }

    /// Revokes the key of the model.
    pub async fn revoke(&self) {
        let [keyvault, _] = &self.services;
        revoke_key(&keyvault.url, "default", "mine").await;
    }

    /// A header that is right for a stage.
    pub fn header(&self, stage: u32) -> PrepareHeader {
        PrepareHeader {
            model_id: "small".to_owned(),
            key_id: "mine".to_owned(),
            version: 0,
            stage,
            parameter_set: ParameterSet::Glwe2048V1.into(),
            incarnation: self.described.incarnation.clone(),
        }
    }

    /// A question that is right for a stage.
    pub fn question(&self, stage: u32, images: u32, values: Vec<u8>) -> InferRequest {
        InferRequest {
            model_id: "small".to_owned(),
            key_id: "mine".to_owned(),
            version: 0,
            stage,
            images,
            values: values.into(),
            incarnation: self.described.incarnation.clone(),
        }
    }

    /// Random ciphertexts of some rows.
    pub fn rows(&mut self, first_row: u32, rows: usize) -> PrepareInput {
        let mut random = |bytes| {
            let mut random = vec![0; bytes];
            self.rng.fill_bytes(&mut random);
            random.into()
        };
        let seeds = random(rows * SEED_BYTES);
        PrepareInput { first_row, seeds, bodies: random(rows * POLYNOMIAL_SIZE * 6) }
    }

    /// All answers to a stream of these parts, or what it was refused with.
    pub async fn prepare(&self, parts: Vec<Part>) -> Result<Vec<PrepareResponse>, Status> {
        let requests = parts.into_iter().map(|part| PrepareRequest { part: Some(part) });
        let requests = tokio_stream::iter(requests.collect::<Vec<_>>());
        all(self.client.clone().prepare(requests).await?.into_inner()).await
    }

    /// The code that a stream of these parts is refused with.
    pub async fn refusal(&self, parts: Vec<Part>) -> Code {
        let status = self.prepare(parts).await.unwrap_err();
        // No part of a stream of its own can be ABORTED for what somebody else did.
        let broken = (status.code() == Code::Aborted).then_some(Reason::StreamBroken);
        assert_eq!(Reason::of(&status), broken, "{status:?}");
        status.code()
    }
}

pub async fn all(mut replies: Streaming<PrepareResponse>) -> Result<Vec<PrepareResponse>, Status> {
    let mut answers = Vec::new();
    while let Some(answer) = replies.message().await? {
        answers.push(answer);
    }
    Ok(answers)
}

/// Stores version 0 of a model and returns its integer maps.
async fn store_model(
    models: &ModelStore,
    name: &str,
    key_id: &str,
    spec: &NetworkSpec,
    rng: &mut ChaCha20Rng,
) -> Vec<LinearMap> {
    let plan = Plan::new(spec).unwrap();
    let parameters = initial_parameters(&plan, rng);
    let stages = plan.stages.iter().zip(&parameters).enumerate();
    let maps = stages.map(|(index, (stage, parameters))| {
        let bits = DEFAULT_ACTIVATION_BITS;
        InferenceStage::new(index, stage, &parameters.weights, spec.bias_bound, bits).unwrap().map
    });
    let maps = maps.collect();
    let meta = model_meta("default", name, key_id, spec, [7; 16]);
    let weights = parameters.into_iter().map(|stage| stage.weights).collect();
    models.create(&meta, first_version(&meta, weights)).await.unwrap();
    maps
}
