//! The RPCs of the inference service, one file each.

mod describe_model;
mod infer;
mod infer_once;
mod prepare;
mod sync_tickets;

use std::sync::Arc;

use futures::stream::BoxStream;
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, InferOnceRequest, InferOnceResponse, InferRequest,
    InferResponse, PrepareRequest, PrepareResponse, SyncTicketsRequest, SyncTicketsResponse,
    inference_server::Inference,
};
use sphinx_runtime::{Compute, KeyDirectory};
use tokio::sync::Semaphore;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::{config::InferenceLimits, models::Models, one_shot::OneShot};

/// The messages of a `Prepare`.
type PrepareStream = BoxStream<'static, Result<PrepareResponse, Status>>;

/// The messages of a `SyncTickets`.
type SyncStream = BoxStream<'static, Result<SyncTicketsResponse, Status>>;

/// The gRPC face of the loaded models.
#[derive(Debug, Clone)]
pub(crate) struct InferenceService {
    models: Models,
    keys: KeyDirectory,
    compute: Compute,
    one_shot: OneShot,
    /// One permit per ciphertext row that may be held.
    rows: Arc<Semaphore>,
    max_rows: u32,
}

impl InferenceService {
    pub(crate) fn new(
        models: Models,
        keys: KeyDirectory,
        compute: Compute,
        one_shot: OneShot,
        limits: &InferenceLimits,
    ) -> Self {
        let max_rows = limits.max_preparation_rows;
        let rows = Arc::new(Semaphore::new(max_rows as usize));
        Self { models, keys, compute, one_shot, rows, max_rows }
    }
}

#[async_trait]
impl Inference for InferenceService {
    type PrepareStream = PrepareStream;
    type SyncTicketsStream = SyncStream;

    async fn prepare(
        &self,
        request: Request<Streaming<PrepareRequest>>,
    ) -> Result<Response<PrepareStream>, Status> {
        prepare::handle(self, request).await
    }

    async fn infer(
        &self,
        request: Request<InferRequest>,
    ) -> Result<Response<InferResponse>, Status> {
        infer::handle(self, request).await
    }

    async fn infer_once(
        &self,
        request: Request<InferOnceRequest>,
    ) -> Result<Response<InferOnceResponse>, Status> {
        infer_once::handle(&self.one_shot, request).await
    }

    async fn describe_model(
        &self,
        request: Request<DescribeModelRequest>,
    ) -> Result<Response<DescribeModelResponse>, Status> {
        describe_model::handle(&self.models, request).await
    }

    async fn sync_tickets(
        &self,
        request: Request<SyncTicketsRequest>,
    ) -> Result<Response<SyncStream>, Status> {
        sync_tickets::handle(self, request).await
    }
}
