//! `ExportModel`: a version as it is stored.

use futures::{StreamExt, stream};
use prost::Message;
use sphinx_models::ModelVersion;
use sphinx_proto::v1::export_model_response::Part;
use sphinx_proto::v1::{
    ExportHeader, ExportModelRequest, ExportModelResponse, ExportedBiases, ExportedWeights, Model,
    PutBiasesRequest,
};
use sphinx_proto::{ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use sphinx_wire::parameters::{WEIGHTS_PER_PART, weights_part};
use tonic::{Request, Response, Status};

use crate::error::TrainerError;
use crate::service::{TrainerService, described};

pub async fn handle(
    service: &TrainerService,
    request: Request<ExportModelRequest>,
) -> Result<
    Response<<TrainerService as sphinx_proto::v1::trainer_server::Trainer>::ExportModelStream>,
    Status,
> {
    let principal = Principal::of(&request)?;
    let ExportModelRequest { model_id, version } = request.into_inner();
    let model_id = ModelId::parse(model_id)?;
    let tenant = principal.acts_on(Object::Model(&model_id)).await?;
    let (header, biases, version) = load(service, &tenant, &model_id, version).await?;
    let head = stream::iter([Part::Header(header)]);
    // Copied message by message, as the client reads.
    let weights = (0u32..).zip(version.weights).flat_map(|(stage, weights)| {
        let offsets = (0..weights.len() as u64).step_by(WEIGHTS_PER_PART as usize);
        offsets.map_while(move |offset| {
            let values = weights_part(&weights, offset, WEIGHTS_PER_PART)?;
            Some(Part::Weights(ExportedWeights { stage, offset, values }))
        })
    });
    let parts = head.chain(stream::iter(weights)).chain(stream::iter(biases.map(Part::Biases)));
    let messages = parts.map(|part| Ok(ExportModelResponse { part: Some(part) }));
    Ok(Response::new(messages.boxed()))
}

async fn load(
    service: &TrainerService,
    tenant: &TenantId,
    model_id: &ModelId,
    version: Option<u64>,
) -> Result<(ExportHeader, Option<ExportedBiases>, ModelVersion), TrainerError> {
    let stored = service.store.get(tenant, model_id).await?;
    let version = service.store.load(&stored.meta, version).await?;
    let model = Model { version: version.version, ..described(&stored)? };
    let biases = service.store.biases(&stored.meta, version.version).await?;
    let biases = biases.map(|biases| match PutBiasesRequest::decode(biases) {
        Ok(PutBiasesRequest { stages, .. }) => Ok(ExportedBiases { stages }),
        Err(error) => Err(TrainerError::Damaged {
            model: model_id.clone(),
            cause: format!("its biases for one shot cannot be read: {error}"),
        }),
    });
    let biases = biases.transpose()?;
    let state = Some(version.state(biases.is_some()));
    Ok((ExportHeader { model: Some(model), state }, biases, version))
}
