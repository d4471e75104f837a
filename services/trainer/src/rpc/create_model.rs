//! `CreateModel`: random weights, encrypted zero biases, version 0.

use prost::Message;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::EncryptedBiases;
use sphinx_models::{ModelMeta, ModelVersion};
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_proto::v1::{CreateModelRequest, CreateModelResponse, Network};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId, conversion};
use sphinx_runtime::{Principal, unix_seconds};
use tonic::{Request, Response, Status};

use crate::config::TrainerLimits;
use crate::error::TrainerError;
use crate::service::{TrainerService, described};

pub async fn handle(
    service: &TrainerService,
    request: Request<CreateModelRequest>,
) -> Result<Response<CreateModelResponse>, Status> {
    let Principal { tenant } = Principal::of(&request)?;
    let creation = Creation::parse(request.into_inner(), &service.limits)?;
    Ok(Response::new(create(service, tenant, creation).await?))
}

/// A model to be made, within the limits.
struct Creation {
    model_id: ModelId,
    key_id: KeyId,
    network: Network,
    plan: Plan,
    seed: u64,
}

impl Creation {
    fn parse(request: CreateModelRequest, limits: &TrainerLimits) -> Result<Self, TrainerError> {
        conversion::parameter_set(request.parameter_set)?;
        let network = request.network.ok_or(ConversionError::Missing {
            field: "network",
            expected: "the network's layers",
        })?;
        let plan = Plan::new(&NetworkSpec::try_from(network.clone())?)?;
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
            plan,
            seed: request.seed,
        })
    }
}

async fn create(
    service: &TrainerService,
    tenant: TenantId,
    creation: Creation,
) -> Result<CreateModelResponse, TrainerError> {
    service.keys.require(&tenant, &creation.key_id).await?;
    let Creation { model_id, key_id, network, plan, seed } = creation;
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
    let initial = service.compute.run(move || initial_version(&plan, seed, now)).await?;
    let created = service.store.create(&meta, initial).await?;
    tracing::info!(model = %meta.model_id, repeated = created.repeated, "model created");
    Ok(CreateModelResponse { model: Some(described(&created.model)?) })
}

/// Version 0. The zero biases are trivial encryptions: that a fresh model's biases are zero is no
/// secret.
fn initial_version(plan: &Plan, seed: u64, now: i64) -> ModelVersion {
    let parameters = initial_parameters(plan, &mut ChaCha20Rng::seed_from_u64(seed));
    let zero = |stage: &sphinx_network::StageParameters| {
        EncryptedBiases::zero(stage.biases.len()).to_bytes().into()
    };
    ModelVersion {
        version: 0,
        commit: None,
        updated_unix_seconds: now,
        biases: parameters.iter().map(zero).collect(),
        weights: parameters.into_iter().map(|stage| stage.weights).collect(),
        averaged: None,
        optimizer: bytes::Bytes::new(),
    }
}
