//! The service: what its RPCs share, and the list of them.

use std::convert::Infallible;

use futures::stream::BoxStream;
use sphinx_proto::v1::key_vault_server::{KeyVault, KeyVaultServer};
use sphinx_proto::v1::{
    DeleteKeyRequest, DeleteKeyResponse, ExchangeKeysRequest, ExchangeKeysResponse,
    FetchKeyRequest, FetchKeyResponse, FindUploadRequest, FindUploadResponse, GetKeyRequest,
    GetKeyResponse, ListKeysRequest, ListKeysResponse, RevokeKeyRequest, RevokeKeyResponse,
};
use sphinx_runtime::{
    CancellationToken, Compute, Config, Metrics, OpenError, Probe, Service, ServiceInfo,
};
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::config::VaultLimits;
use crate::vault::Vault;
use crate::{SERVICE, rpc};

/// The key vault. Clones share its keys.
#[derive(Debug, Clone)]
pub struct KeyVaultService {
    vault: Vault,
}

impl Service for KeyVaultService {
    const INFO: ServiceInfo = SERVICE;
    type Limits = VaultLimits;

    async fn open(
        config: &Config<VaultLimits>,
        compute: Compute,
        _: &Metrics,
        _: CancellationToken,
    ) -> Result<Self, OpenError> {
        let vault = Vault::open(&config.store, config.limits, compute)?;
        vault.objects.check_writes().await?;
        vault.sweep().await?;
        Ok(Self { vault })
    }

    async fn probe(&self) -> Vec<Probe> {
        vec![Probe::of("store", self.vault.reach().await)]
    }

    fn routes(&self) -> Routes {
        Routes::new(KeyVaultServer::new(self.clone()))
    }

    async fn background(&self) -> Infallible {
        self.vault.keep_sweeping().await
    }
}

#[async_trait]
impl KeyVault for KeyVaultService {
    type FetchKeyStream = BoxStream<'static, Result<FetchKeyResponse, Status>>;

    async fn exchange_keys(
        &self,
        request: Request<Streaming<ExchangeKeysRequest>>,
    ) -> Result<Response<ExchangeKeysResponse>, Status> {
        rpc::exchange_keys::handle(&self.vault, request).await
    }

    async fn get_key(
        &self,
        request: Request<GetKeyRequest>,
    ) -> Result<Response<GetKeyResponse>, Status> {
        rpc::get_key::handle(&self.vault, request).await
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        rpc::list_keys::handle(&self.vault, request).await
    }

    async fn find_upload(
        &self,
        request: Request<FindUploadRequest>,
    ) -> Result<Response<FindUploadResponse>, Status> {
        rpc::find_upload::handle(&self.vault, request).await
    }

    async fn fetch_key(
        &self,
        request: Request<FetchKeyRequest>,
    ) -> Result<Response<Self::FetchKeyStream>, Status> {
        rpc::fetch_key::handle(&self.vault, request).await
    }

    async fn delete_key(
        &self,
        request: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        rpc::delete_key::handle(&self.vault, request).await
    }

    async fn revoke_key(
        &self,
        request: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        rpc::revoke_key::handle(&self.vault, request).await
    }
}
