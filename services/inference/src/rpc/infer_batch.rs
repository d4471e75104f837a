//! `InferBatch`: the one layer of a linear network on thousands of images at once.

mod replies;

use futures::StreamExt;
use sphinx_linalg::{PackedMap, Profile};
use sphinx_proto::v1::infer_batch_request::Part;
use sphinx_proto::v1::{InferBatchHeader, InferBatchRequest};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId, next_message};
use sphinx_runtime::{Compute, Object, Principal, Share, WorkMeter};
use sphinx_wire::training::{MAX_BLOCKS, MAX_EVALUATION_ROWS, profile_of_message};
use tonic::{Request, Response, Status, Streaming};

use crate::error::InferenceError;
use crate::linear::one_layer;
use crate::models::VersionId;
use crate::service::{BatchStream, InferenceService};

/// Kilobytes of the rows that [`crate::config::InferenceLimits::max_preparation_rows`] counts.
const ROW_KILOBYTES: usize = 32;

/// Which version to apply to images that follow, and how they are packed.
struct Batch {
    version: VersionId,
    key_id: KeyId,
    profile: Profile,
    blocks: u32,
}

/// A layer and the memory it may take, shared by all the work of one stream.
struct Reservation {
    product: PackedMap<u32>,
    version: u64,
    profile: Profile,
    blocks: usize,
    compute: Compute,
    work: WorkMeter,
    /// Given back when the last piece of work has ended, which may be after the client left.
    _rows: Share,
}

pub(crate) async fn handle(
    service: &InferenceService,
    request: Request<Streaming<InferBatchRequest>>,
) -> Result<Response<BatchStream>, Status> {
    let principal = Principal::of(&request)?;
    let mut parts = request.into_inner();
    let header = header(next_message(&mut parts).await?)?;
    let model_id = ModelId::parse(&*header.model_id)?;
    let tenant = principal.acts_on(Object::Version(&model_id, header.version)).await?;
    let batch = Batch::parse(tenant, header)?;
    let (meta, version) = service.models.stored(&batch.version, &batch.key_id).await?;
    let tenant = &batch.version.tenant;
    service.keys.require(tenant, &batch.key_id).await.map_err(InferenceError::from)?;
    let (number, profile) = (version.version, batch.profile);
    let lower = move || {
        let (_, product) = one_layer(&meta, &version, profile)?;
        Ok::<_, InferenceError>(PackedMap::new(product))
    };
    let product = service.compute.of(tenant).run(lower).await.map_err(InferenceError::from)??;
    let reservation = Reservation::new(service, &batch, product, number)?;
    Ok(Response::new(replies::stream(reservation, parts).boxed()))
}

fn header(first: Option<InferBatchRequest>) -> Result<InferBatchHeader, InferenceError> {
    match first.and_then(|message| message.part) {
        Some(Part::Header(header)) => Ok(header),
        Some(Part::Input(_)) | None => Err(InferenceError::NoHeader),
    }
}

impl Batch {
    fn parse(tenant: TenantId, header: InferBatchHeader) -> Result<Self, ConversionError> {
        let InferBatchHeader { model_id, key_id, version, incarnation, profile, blocks } = header;
        let profile = profile_of_message(profile)?;
        let version = VersionId::parse(tenant, model_id, &incarnation, version)?;
        Ok(Self { version, key_id: KeyId::parse(key_id)?, profile, blocks })
    }
}

impl Reservation {
    /// Reserves the memory of a batch: its inputs. The results under way are some megabytes.
    fn new(
        service: &InferenceService,
        batch: &Batch,
        product: PackedMap<u32>,
        version: u64,
    ) -> Result<Self, InferenceError> {
        let inputs = product.map().inputs();
        let most = (MAX_EVALUATION_ROWS / inputs.max(1)).min(MAX_BLOCKS);
        let blocks = usize::try_from(batch.blocks).unwrap_or(usize::MAX);
        if !(1..=most).contains(&blocks) {
            return Err(InferenceError::Blocks { got: batch.blocks, limit: most, inputs });
        }
        let (profile, limit) = (batch.profile, service.max_rows);
        let words = profile.dimension() * (1 + blocks * profile.bodies());
        let got = (inputs * words * size_of::<u32>()).div_ceil(ROW_KILOBYTES << 10);
        if got > limit as usize {
            return Err(InferenceError::StageTooLarge { got, limit });
        }
        let compute = service.compute.of(&batch.version.tenant);
        let work = service.work.batch.clone();
        let rows = service.rows.take(&batch.version.tenant, got)?;
        Ok(Self { product, version, profile, blocks, compute, work, _rows: rows })
    }
}
