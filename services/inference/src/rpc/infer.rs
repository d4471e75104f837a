//! `Infer`: one stage on masked integers, for one or a few images.

use std::sync::Arc;

use bytes::Bytes;
use rayon::prelude::*;
use sphinx_proto::v1::{InferRequest, InferResponse};
use sphinx_proto::{ConversionError, KeyId, ModelId, TenantId};
use sphinx_runtime::{Object, Principal};
use sphinx_wire::masked::MAX_VALUES;
use tonic::{Request, Response, Status};

use crate::error::InferenceError;
use crate::model::LoadedStage;
use crate::models::VersionId;
use crate::service::InferenceService;

/// Work that takes less is done where the request is: a hop to the compute pool and back costs
/// about 20 µs, and asynchronous threads must not be held for longer than a few hundred.
const INLINE_NANOS: usize = 100_000;

/// One stage of a recognition, and what enters it.
struct Round {
    version: VersionId,
    key_id: KeyId,
    stage: u32,
    images: u32,
    values: Bytes,
}

pub(crate) async fn handle(
    service: &InferenceService,
    request: Request<InferRequest>,
) -> Result<Response<InferResponse>, Status> {
    let principal = Principal::of(&request)?;
    let request = request.into_inner();
    let model_id = ModelId::parse(&*request.model_id)?;
    let tenant = principal.acts_on(Object::Version(&model_id, request.version)).await?;
    let compute = service.compute.of(&tenant);
    let round = Round::parse(tenant, request)?;
    let model = service.models.get(round.version, &round.key_id).await?;
    let batch = Batch::new(model.stage(round.stage)?, round.images, round.values)?;
    let multiply_adds = batch.stage.cipher.map().multiply_adds() * batch.images;
    service.work.recognise.product(0, 0, multiply_adds as u64);
    if round.stage == 0 {
        service.work.recognise.images(batch.images);
    }
    let values = if batch.nanos() <= INLINE_NANOS {
        batch.apply()
    } else {
        let applied = compute.run(move || batch.apply_in_parallel()).await;
        applied.map_err(InferenceError::from)?
    };
    Ok(Response::new(InferResponse { version: model.version, values: values.into() }))
}

impl Round {
    fn parse(tenant: TenantId, request: InferRequest) -> Result<Self, ConversionError> {
        let InferRequest { model_id, key_id, version, stage, images, values, incarnation } =
            request;
        let version = VersionId::parse(tenant, model_id, &incarnation, version)?;
        Ok(Self { version, key_id: KeyId::parse(key_id)?, stage, images, values })
    }
}

/// Masked images of the right size for a stage.
#[derive(Debug)]
struct Batch {
    stage: Arc<LoadedStage>,
    images: usize,
    values: Bytes,
}

impl Batch {
    fn new(stage: Arc<LoadedStage>, images: u32, values: Bytes) -> Result<Self, InferenceError> {
        let form = stage.masked();
        let limit = form.images_within(MAX_VALUES);
        let count = usize::try_from(images).unwrap_or(usize::MAX);
        if !(1..=limit).contains(&count) {
            return Err(InferenceError::Images { got: images, limit });
        }
        let expected = count * form.query_bytes();
        if values.len() != expected {
            let (field, got) = ("values", values.len());
            return Err(ConversionError::Length { field, got, expected }.into());
        }
        Ok(Self { stage, images: count, values })
    }

    /// Estimated time on one core: about 20 multiply-adds per nanosecond, and 2 ns to unpack or
    /// pack a word.
    fn nanos(&self) -> usize {
        let stage = &self.stage;
        let each = stage.cipher.map().multiply_adds() / 20 + 2 * (stage.inputs() + stage.outputs());
        self.images.saturating_mul(each)
    }

    fn apply(&self) -> Vec<u8> {
        let (mut results, size) = self.results();
        let mut scratch = Scratch::new(&self.stage);
        let images = self.values.chunks_exact(self.values.len() / self.images);
        for (values, results) in images.zip(results.chunks_exact_mut(size)) {
            scratch.apply(&self.stage, values, results);
        }
        results
    }

    fn apply_in_parallel(&self) -> Vec<u8> {
        let (mut results, size) = self.results();
        let images = self.values.par_chunks_exact(self.values.len() / self.images);
        results.par_chunks_exact_mut(size).zip(images).for_each_init(
            || Scratch::new(&self.stage),
            |scratch, (results, values)| scratch.apply(&self.stage, values, results),
        );
        results
    }

    /// Space for the packed results, and the size of one image's.
    fn results(&self) -> (Vec<u8>, usize) {
        let size = self.stage.masked().result_bytes();
        (vec![0; self.images * size], size)
    }
}

/// The words of one image.
struct Scratch {
    inputs: Vec<u32>,
    outputs: Vec<u32>,
}

impl Scratch {
    fn new(stage: &LoadedStage) -> Self {
        Self { inputs: vec![0; stage.inputs()], outputs: vec![0; stage.outputs()] }
    }

    /// Modulo 2^32, which the reduction to t bits while packing turns into modulo 2^t.
    fn apply(&mut self, stage: &LoadedStage, values: &[u8], results: &mut [u8]) {
        let form = stage.masked();
        form.unpack(values, &mut self.inputs);
        stage.plain.apply(&self.inputs, &mut self.outputs);
        form.pack(&self.outputs, results);
    }
}
