//! `DescribeModel`: the integer form of a model version.

use sphinx_proto::v1::{DescribeModelRequest, DescribeModelResponse, IntegerStage, VersionState};
use sphinx_proto::{ConversionError, ModelId};
use sphinx_runtime::{Object, Principal};
use tonic::{Request, Response, Status};

use crate::model::LoadedModel;
use crate::models::Models;

/// Which version of which model to describe.
struct Description {
    model_id: ModelId,
    version: Option<u64>,
}

pub(crate) async fn handle(
    models: &Models,
    request: Request<DescribeModelRequest>,
) -> Result<Response<DescribeModelResponse>, Status> {
    let principal = Principal::of(&request)?;
    let wanted = Description::try_from(request.into_inner())?;
    let tenant = principal.acts_on(Object::Model(&wanted.model_id)).await?;
    let model = models.describe(tenant.clone(), wanted.model_id, wanted.version).await?;
    let has_one_shot_biases = models.has_one_shot_biases(&tenant, &model).await?;
    let state = VersionState { has_one_shot_biases, ..model.state.clone() };
    Ok(Response::new(describe(&model, state)))
}

impl TryFrom<DescribeModelRequest> for Description {
    type Error = ConversionError;

    fn try_from(request: DescribeModelRequest) -> Result<Self, ConversionError> {
        Ok(Self { model_id: ModelId::parse(request.model_id)?, version: request.version })
    }
}

fn describe(model: &LoadedModel, state: VersionState) -> DescribeModelResponse {
    DescribeModelResponse {
        model_id: model.model_id.to_string(),
        key_id: model.key_id.to_string(),
        version: model.version,
        network: Some(model.network.clone()),
        stages: model.stages().iter().map(|stage| IntegerStage::from(stage.as_ref())).collect(),
        incarnation: model.incarnation.to_vec().into(),
        state: Some(state),
    }
}
