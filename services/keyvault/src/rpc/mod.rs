//! The RPCs of the key vault, one file each.

mod delete_key;
mod exchange_keys;
mod fetch_key;
mod find_upload;
mod get_key;
mod list_keys;

use futures::stream::BoxStream;
use sphinx_proto::v1::{
    DeleteKeyRequest, DeleteKeyResponse, ExchangeKeysRequest, ExchangeKeysResponse,
    FetchKeyRequest, FetchKeyResponse, FindUploadRequest, FindUploadResponse, GetKeyRequest,
    GetKeyResponse, ListKeysRequest, ListKeysResponse, key_vault_server::KeyVault,
};
use tonic::{Request, Response, Status, Streaming, async_trait};

use crate::vault::Vault;

/// The gRPC face of a [`Vault`].
#[derive(Debug, Clone)]
pub(crate) struct KeyVaultService {
    vault: Vault,
}

impl KeyVaultService {
    pub(crate) fn new(vault: Vault) -> Self {
        Self { vault }
    }
}

#[async_trait]
impl KeyVault for KeyVaultService {
    type FetchKeyStream = BoxStream<'static, Result<FetchKeyResponse, Status>>;

    async fn exchange_keys(
        &self,
        request: Request<Streaming<ExchangeKeysRequest>>,
    ) -> Result<Response<ExchangeKeysResponse>, Status> {
        exchange_keys::handle(&self.vault, request).await
    }

    async fn get_key(
        &self,
        request: Request<GetKeyRequest>,
    ) -> Result<Response<GetKeyResponse>, Status> {
        get_key::handle(&self.vault, request).await
    }

    async fn list_keys(
        &self,
        request: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        list_keys::handle(&self.vault, request).await
    }

    async fn find_upload(
        &self,
        request: Request<FindUploadRequest>,
    ) -> Result<Response<FindUploadResponse>, Status> {
        find_upload::handle(&self.vault, request).await
    }

    async fn fetch_key(
        &self,
        request: Request<FetchKeyRequest>,
    ) -> Result<Response<Self::FetchKeyStream>, Status> {
        fetch_key::handle(&self.vault, request).await
    }

    async fn delete_key(
        &self,
        request: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        delete_key::handle(&self.vault, request).await
    }
}
