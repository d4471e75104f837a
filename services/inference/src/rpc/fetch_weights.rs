//! `FetchWeights`: the weights of a version, for clients that check answers.

use futures::{StreamExt, stream};
use sphinx_proto::v1::{FetchWeightsRequest, FetchWeightsResponse};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use sphinx_wire::parameters::{WEIGHTS_PER_PART, weights_part};
use tonic::{Request, Response, Status};

use crate::models::{Models, VersionId};
use crate::service::WeightsStream;

/// Which weights are wanted.
struct Wanted {
    version: VersionId,
    key_id: KeyId,
}

pub(crate) async fn handle(
    models: &Models,
    request: Request<FetchWeightsRequest>,
) -> Result<Response<WeightsStream>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(&*request.model_id)?;
    let tenant = principal.acts_on(Object::Version(&model_id, request.version)).await?;
    let Wanted { version, key_id } = Wanted::parse(tenant, request)?;
    let stages = models.weights(&version, &key_id).await?;
    // Copied message by message, as the client reads.
    let messages = (0u32..).zip(stages).flat_map(|(stage, weights)| {
        let offsets = (0..weights.len() as u64).step_by(WEIGHTS_PER_PART as usize);
        let parts = offsets.map_while(move |at| weights_part(&weights, at, WEIGHTS_PER_PART));
        parts.map(move |weights| Ok(FetchWeightsResponse { stage, weights }))
    });
    Ok(Response::new(stream::iter(messages).boxed()))
}

impl Wanted {
    fn parse(tenant: TenantId, request: FetchWeightsRequest) -> Result<Self, ConversionError> {
        let FetchWeightsRequest { model_id, key_id, version, incarnation } = request;
        let version = VersionId::parse(tenant, model_id, &incarnation, version)?;
        Ok(Self { version, key_id: KeyId::parse(key_id)? })
    }
}
