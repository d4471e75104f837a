//! The service: what its RPCs share, and the list of them.

use std::sync::Arc;

use futures::stream::BoxStream;
use sphinx_bootstrap::LinearLayer;
use sphinx_channel::KeyDirectory;
use sphinx_models::ModelStore;
use sphinx_proto::v1::inference_server::{Inference, InferenceServer};
use sphinx_proto::v1::{
    DescribeModelRequest, DescribeModelResponse, FetchWeightsRequest, FetchWeightsResponse,
    InferBatchRequest, InferBatchResponse, InferLinearRequest, InferLinearResponse,
    InferOnceRequest, InferOnceResponse, InferRequest, InferResponse, PrepareRequest,
    PrepareResponse, SyncTicketsRequest, SyncTicketsResponse,
};
use sphinx_runtime::{
    ByteCache, CancellationToken, Compute, Config, Metrics, OpenError, Probe, Service, ServiceInfo,
    Shares, Work, WorkMeter,
};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::config::InferenceLimits;
use crate::error::RETRY_AFTER;
use crate::models::{Models, VersionId};
use crate::one_shot::OneShot;
use crate::{SERVICE, rpc};

/// The messages of a `Prepare`.
pub(crate) type PrepareStream = BoxStream<'static, Result<PrepareResponse, Status>>;

/// The messages of an `InferBatch`.
pub(crate) type BatchStream = BoxStream<'static, Result<InferBatchResponse, Status>>;

/// The messages of a `SyncTickets`.
pub(crate) type SyncStream = BoxStream<'static, Result<SyncTicketsResponse, Status>>;

/// The messages of a `FetchWeights`.
pub(crate) type WeightsStream = BoxStream<'static, Result<FetchWeightsResponse, Status>>;

/// The inference service: what its RPCs share. Clones share it all.
#[derive(Debug, Clone)]
pub struct InferenceService {
    pub(crate) models: Models,
    pub(crate) keys: KeyDirectory,
    pub(crate) compute: Compute,
    pub(crate) one_shot: OneShot,
    /// The layers of linear networks, for images one by one.
    pub(crate) linear: ByteCache<VersionId, LinearLayer>,
    /// Ciphertext rows that may be held.
    pub(crate) rows: Arc<Shares>,
    pub(crate) max_rows: u32,
    pub(crate) work: Works,
}

/// What each kind of work adds up to. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Works {
    pub(crate) prepare: WorkMeter,
    pub(crate) recognise: WorkMeter,
    pub(crate) batch: WorkMeter,
    pub(crate) linear: WorkMeter,
}

impl Works {
    fn new(metrics: &Metrics) -> Self {
        Self {
            prepare: metrics.work(Work::Prepare),
            recognise: metrics.work(Work::Recognise),
            batch: metrics.work(Work::Batch),
            linear: metrics.work(Work::Linear),
        }
    }
}

impl Service for InferenceService {
    const INFO: ServiceInfo = SERVICE;
    type Limits = InferenceLimits;

    async fn open(
        config: &Config<InferenceLimits>,
        compute: Compute,
        metrics: &Metrics,
        _: CancellationToken,
    ) -> Result<Self, OpenError> {
        let limits = &config.limits;
        let store = ModelStore::open(&config.store)?;
        store.check_reads().await?;
        let keys = KeyDirectory::connect(&config.keyvault, &config.outgoing.security()?)?;
        let one_shot = OneShot::new(store.clone(), keys.clone(), compute.clone(), limits, metrics);
        let models = Models::new(store, compute.clone(), limits.max_cache_bytes).watched(metrics);
        let max_rows = limits.max_preparation_rows;
        let rows = Arc::new(Shares::new("ciphertext rows", max_rows as usize, RETRY_AFTER));
        metrics.watch_permits("ciphertext_rows", max_rows as usize, rows.free());
        let linear = ByteCache::new(limits.max_one_shot_model_bytes, LinearLayer::bytes);
        let linear = linear.watched(metrics, "linear_layers");
        let work = Works::new(metrics);
        Ok(Self { models, keys, compute, one_shot, linear, rows, max_rows, work })
    }

    async fn probe(&self) -> Vec<Probe> {
        let (store, keyvault) = futures::join!(self.models.reach(), self.keys.reach());
        vec![Probe::of("store", store), Probe::of("keyvault", keyvault)]
    }

    fn routes(&self) -> Routes {
        Routes::new(InferenceServer::new(self.clone()))
    }
}

#[async_trait]
impl Inference for InferenceService {
    type PrepareStream = PrepareStream;
    type InferBatchStream = BatchStream;
    type SyncTicketsStream = SyncStream;
    type FetchWeightsStream = WeightsStream;

    async fn prepare(
        &self,
        request: Request<Streaming<PrepareRequest>>,
    ) -> Result<Response<PrepareStream>, Status> {
        rpc::prepare::handle(self, request).await
    }

    async fn infer(
        &self,
        request: Request<InferRequest>,
    ) -> Result<Response<InferResponse>, Status> {
        rpc::infer::handle(self, request).await
    }

    async fn infer_once(
        &self,
        request: Request<InferOnceRequest>,
    ) -> Result<Response<InferOnceResponse>, Status> {
        rpc::infer_once::handle(&self.one_shot, request).await
    }

    async fn infer_batch(
        &self,
        request: Request<Streaming<InferBatchRequest>>,
    ) -> Result<Response<BatchStream>, Status> {
        rpc::infer_batch::handle(self, request).await
    }

    async fn infer_linear(
        &self,
        request: Request<InferLinearRequest>,
    ) -> Result<Response<InferLinearResponse>, Status> {
        rpc::infer_linear::handle(self, request).await
    }

    async fn describe_model(
        &self,
        request: Request<DescribeModelRequest>,
    ) -> Result<Response<DescribeModelResponse>, Status> {
        rpc::describe_model::handle(&self.models, request).await
    }

    async fn sync_tickets(
        &self,
        request: Request<SyncTicketsRequest>,
    ) -> Result<Response<SyncStream>, Status> {
        rpc::sync_tickets::handle(self, request).await
    }

    async fn fetch_weights(
        &self,
        request: Request<FetchWeightsRequest>,
    ) -> Result<Response<WeightsStream>, Status> {
        rpc::fetch_weights::handle(&self.models, request).await
    }
}
