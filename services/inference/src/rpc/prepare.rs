//! `Prepare`: one stage on the encrypted masks of up to 2048 future images.

mod replies;
mod upload;

use std::sync::Arc;

use futures::StreamExt;
use sphinx_linalg::ROW_WORDS;
use sphinx_proto::conversion::parameter_set;
use sphinx_proto::v1::prepare_request::Part;
use sphinx_proto::v1::{PrepareHeader, PrepareRequest};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId, next_message};
use sphinx_runtime::{Compute, Object, Principal, Share, WorkMeter};
use tonic::{Request, Response, Status, Streaming};

use crate::error::InferenceError;
use crate::model::LoadedStage;
use crate::models::VersionId;
use crate::service::{InferenceService, PrepareStream};
use crate::units::under_way;

/// Which stage of which version to apply to rows that follow.
struct Preparation {
    version: VersionId,
    key_id: KeyId,
    stage: u32,
}

/// A stage and the rows it may hold, shared by all the work of one stream.
struct Reservation {
    stage: Arc<LoadedStage>,
    version: u64,
    compute: Compute,
    work: WorkMeter,
    /// Whether tickets begin with it.
    first: bool,
    /// Given back when the last piece of work has ended, which may be after the client left.
    _rows: Share,
}

pub(crate) async fn handle(
    service: &InferenceService,
    request: Request<Streaming<PrepareRequest>>,
) -> Result<Response<PrepareStream>, Status> {
    let principal = Principal::of(&request)?;
    let mut parts = request.into_inner();
    let header = header(next_message(&mut parts).await?)?;
    let model_id = ModelId::parse(&*header.model_id)?;
    let tenant = principal.acts_on(Object::Version(&model_id, header.version)).await?;
    let preparation = Preparation::parse(tenant, header)?;
    let tenant = preparation.version.tenant.clone();
    let model = service.models.get(preparation.version, &preparation.key_id).await?;
    service.keys.require(&tenant, &preparation.key_id).await.map_err(InferenceError::from)?;
    let stage = model.stage(preparation.stage)?;
    let work = (service.work.prepare.clone(), preparation.stage == 0);
    let reservation = Reservation::new(service, &tenant, stage, (model.version, work))?;
    Ok(Response::new(replies::stream(reservation, parts).boxed()))
}

fn header(first: Option<PrepareRequest>) -> Result<PrepareHeader, InferenceError> {
    match first.and_then(|message| message.part) {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Input(_)) | None => Err(InferenceError::NoHeader),
    }
}

impl Preparation {
    fn parse(tenant: TenantId, header: PrepareHeader) -> Result<Self, ConversionError> {
        let PrepareHeader { model_id, key_id, version, stage, incarnation, .. } = &header;
        parameter_set(header.parameter_set)?;
        Ok(Self {
            version: VersionId::parse(tenant, model_id.clone(), incarnation, *version)?,
            key_id: KeyId::parse(key_id.clone())?,
            stage: *stage,
        })
    }
}

impl Reservation {
    /// Reserves the rows of a stage: its inputs, and the results under way, as words and packed.
    fn new(
        service: &InferenceService,
        tenant: &TenantId,
        stage: Arc<LoadedStage>,
        (version, (work, first)): (u64, (WorkMeter, bool)),
    ) -> Result<Self, InferenceError> {
        let (compute, limit) = (service.compute.of(tenant), service.max_rows);
        let units = stage.cipher.units(ROW_WORDS).len().max(1);
        let under_way = under_way(&compute).min(units);
        let got = stage.inputs() + 2 * under_way * stage.outputs().div_ceil(units);
        if got > limit as usize {
            return Err(InferenceError::StageTooLarge { got, limit });
        }
        let rows = service.rows.take(tenant, got)?;
        Ok(Self { stage, version, compute, work, first, _rows: rows })
    }
}
