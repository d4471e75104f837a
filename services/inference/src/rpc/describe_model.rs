//! `DescribeModel`: the integer form of a model version.

use sphinx_proto::v1::{DescribeModelRequest, DescribeModelResponse, IntegerStage};
use sphinx_proto::{ConversionError, ModelId};
use sphinx_runtime::Principal;
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
    let Principal { tenant } = Principal::of(&request)?;
    let wanted = Description::try_from(request.into_inner())?;
    let model = models.describe(tenant, wanted.model_id, wanted.version).await?;
    Ok(Response::new(model.as_ref().into()))
}

impl TryFrom<DescribeModelRequest> for Description {
    type Error = ConversionError;

    fn try_from(request: DescribeModelRequest) -> Result<Self, ConversionError> {
        Ok(Self { model_id: ModelId::parse(request.model_id)?, version: request.version })
    }
}

impl From<&LoadedModel> for DescribeModelResponse {
    fn from(model: &LoadedModel) -> Self {
        Self {
            model_id: model.model_id.to_string(),
            key_id: model.key_id.to_string(),
            version: model.version,
            network: Some(model.network.clone()),
            stages: model.stages().iter().map(|stage| IntegerStage::from(stage.as_ref())).collect(),
            incarnation: model.incarnation.to_vec().into(),
        }
    }
}
