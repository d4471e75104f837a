//! The RPCs of the key vault, one file each.

mod exchange_keys;
mod get_key;
mod list_keys;

use sphinx_proto::v1::{
    ExchangeKeysRequest, ExchangeKeysResponse, GetKeyRequest, GetKeyResponse, ListKeysRequest,
    ListKeysResponse, key_vault_server::KeyVault,
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
}
