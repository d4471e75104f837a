//! The service: what its RPCs share, and the list of them.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use futures::stream::BoxStream;
use sphinx_channel::KeyDirectory;
use sphinx_models::{ModelMeta, ModelStore, StoredModel, StoredNetwork};
use sphinx_proto::TenantId;
use sphinx_proto::v1::trainer_server::{Trainer, TrainerServer};
use sphinx_proto::v1::{
    CompareVersionsRequest, CompareVersionsResponse, CreateModelRequest, CreateModelResponse,
    DeleteModelRequest, DeleteModelResponse, ExportModelRequest, ExportModelResponse,
    GetModelRequest, GetModelResponse, ListModelsRequest, ListModelsResponse, ListVersionsRequest,
    ListVersionsResponse, Model, PutBiasesRequest, PutBiasesResponse, RotateKeyRequest,
    RotateKeyResponse, TrainRequest, TrainResponse, WatchModelRequest, WatchModelResponse,
};
use sphinx_runtime::{
    CancellationToken, Compute, Config, Metrics, OpenError, Probe, Service, ServiceInfo, Shares,
    Work, WorkMeter,
};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use crate::config::TrainerLimits;
use crate::error::TrainerError;
use crate::{SERVICE, rpc};

/// What a client that found no session free is told to wait.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The trainer: what its RPCs share. Clones share it all.
#[derive(Debug, Clone)]
pub struct TrainerService {
    pub(crate) store: ModelStore,
    pub(crate) keys: KeyDirectory,
    pub(crate) compute: Compute,
    pub(crate) metrics: Metrics,
    /// What products of training sessions add up to.
    pub(crate) work: WorkMeter,
    pub(crate) limits: TrainerLimits,
    /// Open training sessions.
    pub(crate) sessions: Arc<Shares>,
    /// Longest silence of a client, in either direction.
    pub(crate) idle_timeout: Duration,
    /// Cancelled when the service drains.
    pub(crate) shutdown: CancellationToken,
}

impl Service for TrainerService {
    const INFO: ServiceInfo = SERVICE;
    type Limits = TrainerLimits;

    async fn open(
        config: &Config<TrainerLimits>,
        compute: Compute,
        metrics: &Metrics,
        shutdown: CancellationToken,
    ) -> Result<Self, OpenError> {
        let store = ModelStore::open(&config.store)?.retaining(config.limits.retention());
        store.check_writes().await?;
        let most = config.limits.max_sessions;
        let sessions = Arc::new(Shares::new("training sessions", most, RETRY_AFTER));
        metrics.watch_permits("sessions", most, sessions.free());
        Ok(Self {
            store,
            keys: KeyDirectory::connect(&config.keyvault, &config.outgoing.security()?)?,
            compute,
            work: metrics.work(Work::Train),
            metrics: metrics.clone(),
            limits: config.limits.clone(),
            sessions,
            idle_timeout: config.server.idle_timeout(),
            shutdown,
        })
    }

    async fn probe(&self) -> Vec<Probe> {
        let (store, keyvault) = futures::join!(self.store.reach(), self.keys.reach());
        vec![Probe::of("store", store), Probe::of("keyvault", keyvault)]
    }

    fn routes(&self) -> Routes {
        Routes::new(TrainerServer::new(self.clone()))
    }
}

impl TrainerService {
    /// The same, with the work of a tenant.
    pub(crate) fn of(&self, tenant: &TenantId) -> Self {
        Self { compute: self.compute.of(tenant), ..self.clone() }
    }

    /// Refuses a tenant that `bytes` more would bring above what it may store. Looked at where
    /// something lasting begins, and not at each commit: it lists the tenant's objects.
    pub(crate) async fn require_room(
        &self,
        tenant: &TenantId,
        bytes: u64,
    ) -> Result<(), TrainerError> {
        let limit = self.limits.max_stored_bytes_of_tenant;
        if limit == 0 {
            return Ok(());
        }
        let stored = self.store.stored_bytes(tenant).await?;
        match stored.saturating_add(bytes) > limit {
            true => Err(TrainerError::NoRoom { tenant: tenant.clone(), stored, bytes, limit }),
            false => Ok(()),
        }
    }
}

#[tonic::async_trait]
impl Trainer for TrainerService {
    type WatchModelStream = BoxStream<'static, Result<WatchModelResponse, Status>>;
    type ExportModelStream = BoxStream<'static, Result<ExportModelResponse, Status>>;
    type TrainStream = Pin<Box<dyn Stream<Item = Result<TrainResponse, Status>> + Send>>;

    async fn create_model(
        &self,
        request: Request<CreateModelRequest>,
    ) -> Result<Response<CreateModelResponse>, Status> {
        rpc::create_model::handle(self, request).await
    }

    async fn get_model(
        &self,
        request: Request<GetModelRequest>,
    ) -> Result<Response<GetModelResponse>, Status> {
        rpc::get_model::handle(self, request).await
    }

    async fn list_models(
        &self,
        request: Request<ListModelsRequest>,
    ) -> Result<Response<ListModelsResponse>, Status> {
        rpc::list_models::handle(self, request).await
    }

    async fn delete_model(
        &self,
        request: Request<DeleteModelRequest>,
    ) -> Result<Response<DeleteModelResponse>, Status> {
        rpc::delete_model::handle(self, request).await
    }

    async fn put_biases(
        &self,
        request: Request<PutBiasesRequest>,
    ) -> Result<Response<PutBiasesResponse>, Status> {
        rpc::put_biases::handle(self, request).await
    }

    async fn rotate_key(
        &self,
        request: Request<RotateKeyRequest>,
    ) -> Result<Response<RotateKeyResponse>, Status> {
        rpc::rotate_key::handle(self, request).await
    }

    async fn watch_model(
        &self,
        request: Request<WatchModelRequest>,
    ) -> Result<Response<Self::WatchModelStream>, Status> {
        rpc::watch_model::handle(self, request).await
    }

    async fn list_versions(
        &self,
        request: Request<ListVersionsRequest>,
    ) -> Result<Response<ListVersionsResponse>, Status> {
        rpc::list_versions::handle(self, request).await
    }

    async fn compare_versions(
        &self,
        request: Request<CompareVersionsRequest>,
    ) -> Result<Response<CompareVersionsResponse>, Status> {
        rpc::compare_versions::handle(self, request).await
    }

    async fn export_model(
        &self,
        request: Request<ExportModelRequest>,
    ) -> Result<Response<Self::ExportModelStream>, Status> {
        rpc::export_model::handle(self, request).await
    }

    async fn train(
        &self,
        request: Request<Streaming<TrainRequest>>,
    ) -> Result<Response<Self::TrainStream>, Status> {
        rpc::train::handle(self, request).await
    }
}

/// The network of a stored model.
pub(crate) fn network(meta: &ModelMeta) -> Result<StoredNetwork, TrainerError> {
    meta.stored_network().map_err(|fault| TrainerError::Damaged {
        model: meta.model_id.clone(),
        cause: fault.to_string(),
    })
}

/// A stored model as callers see it.
pub(crate) fn described(stored: &StoredModel) -> Result<Model, TrainerError> {
    let StoredNetwork { message, plan, .. } = network(&stored.meta)?;
    Ok(Model {
        model_id: stored.meta.model_id.to_string(),
        key_id: stored.meta.key_id.to_string(),
        network: Some(message),
        version: stored.head,
        created_unix_seconds: stored.meta.created_unix_seconds,
        updated_unix_seconds: stored.updated_unix_seconds,
        weights: plan.weight_count() as u64,
        biases: plan.bias_count() as u64,
        incarnation: stored.meta.incarnation.to_vec().into(),
    })
}
