//! `CreateModel`: random weights, version 0.

use bytes::Bytes;
use prost::Message;
use rand::Rng;
use sphinx_models::{ModelMeta, ModelVersion, StoreError, VersionHashes};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::v1::{CreateModelRequest, CreateModelResponse, Network};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId, conversion};
use sphinx_runtime::{Object, Principal, unix_seconds};
use sphinx_wire::state::{Hash, WeightState, first_chain, hash_from, network_sha256};
use tonic::{Request, Response, Status};

use crate::config::TrainerLimits;
use crate::error::TrainerError;
use crate::service::{TrainerService, described};

pub async fn handle(
    service: &TrainerService,
    request: Request<CreateModelRequest>,
) -> Result<Response<CreateModelResponse>, Status> {
    let principal = Principal::of(&request)?;
    let creation = Creation::parse(request.into_inner(), &service.limits)?;
    let tenant = principal.acts_on(Object::Model(&creation.model_id)).await?;
    Ok(Response::new(create(&service.of(&tenant), tenant, creation).await?))
}

/// A model to be made, within the limits.
struct Creation {
    model_id: ModelId,
    key_id: KeyId,
    network: Network,
    spec: NetworkSpec,
    plan: Plan,
    seed: u64,
    /// H of the weights that the client expects; none trusts this service's.
    weights: Option<Hash>,
}

impl Creation {
    fn parse(request: CreateModelRequest, limits: &TrainerLimits) -> Result<Self, TrainerError> {
        conversion::parameter_set(request.parameter_set)?;
        let network = request.network.ok_or(ConversionError::Missing {
            field: "network",
            expected: "the network's layers",
        })?;
        let spec = NetworkSpec::try_from(network.clone())?;
        let plan = Plan::new(&spec)?;
        let weights = match request.weights_sha256.len() {
            0 => None,
            got => Some(hash_from(&request.weights_sha256).ok_or(ConversionError::Length {
                field: "weights_sha256",
                got,
                expected: 32,
            })?),
        };
        let rows = plan.stages.iter().map(|stage| stage.input.len().max(stage.output.len()));
        let sizes = [
            ("rows in its largest layer", rows.max().unwrap_or(0), limits.max_stage_rows),
            ("weights", plan.weight_count(), limits.max_weights),
        ];
        if let Some(&(what, got, limit)) = sizes.iter().find(|(_, got, limit)| got > limit) {
            return Err(TrainerError::TooLarge { what, got, limit });
        }
        Ok(Self {
            model_id: ModelId::parse(request.model_id)?,
            key_id: KeyId::parse(request.key_id)?,
            network,
            spec,
            plan,
            seed: request.seed,
            weights,
        })
    }
}

async fn create(
    service: &TrainerService,
    tenant: TenantId,
    creation: Creation,
) -> Result<CreateModelResponse, TrainerError> {
    service.keys.require(&tenant, &creation.key_id).await?;
    let Creation { model_id, key_id, network, spec, plan, seed, weights } = creation;
    // The same request may come again for a model that is there, and takes no room then.
    if let Err(StoreError::NoModel { .. }) = service.store.get(&tenant, &model_id).await {
        service.require_room(&tenant, (plan.weight_count() * size_of::<f32>()) as u64).await?;
    }
    let now = unix_seconds();
    let mut incarnation = [0u8; 16];
    rand::rng().fill_bytes(&mut incarnation);
    let meta = ModelMeta {
        tenant,
        model_id,
        key_id,
        network: network.encode_to_vec().into(),
        seed,
        created_unix_seconds: now,
        incarnation,
    };
    let (model_id, network) = (meta.model_id.clone(), network_sha256(&spec));
    let initial = move || initial_version(&plan, seed, (&model_id, &incarnation, &network), now);
    let initial = service.compute.run(initial).await?;
    if let Some(got) = weights.filter(|weights| *weights != initial.hashes.weights) {
        let hex = |hash: Hash| hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let (got, expected) = (hex(got), hex(initial.hashes.weights));
        service.metrics.check_failed("initial_weights");
        return Err(TrainerError::OtherWeights { got, expected });
    }
    let created = service.store.create(&meta, initial).await?;
    tracing::info!(model = %meta.model_id, repeated = created.repeated, "model created");
    Ok(CreateModelResponse { model: Some(described(&created.model)?) })
}

/// Version 0, whose biases are zero by definition: nothing is sealed.
fn initial_version(
    plan: &Plan,
    seed: u64,
    (model, incarnation, network): (&ModelId, &[u8; 16], &Hash),
    now: i64,
) -> ModelVersion {
    let initial = WeightState::initial(plan, seed);
    let weights = initial.weights_sha256();
    let hashes = VersionHashes {
        chain: first_chain(model, incarnation, network, &weights),
        weights,
        optimizer: initial.optimizer_sha256(),
        ..VersionHashes::default()
    };
    ModelVersion {
        version: 0,
        commit: None,
        updated_unix_seconds: now,
        weights: initial.weights,
        averaged: None,
        optimizer: Bytes::new(),
        optimizer_steps: 0,
        averaged_steps: 0,
        sealed: Bytes::new(),
        hashes,
    }
}
