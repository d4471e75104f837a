//! A key vault on a real socket, and what clients send it.

use std::net::SocketAddr;

use sphinx_keyvault::{Config, SERVICE, run};
use sphinx_proto::v1::{
    ExchangeKeysRequest, KeyHeader, KeyKind, exchange_keys_request::Part,
    key_vault_client::KeyVaultClient,
};
use sphinx_runtime::{CancellationToken, RunError};
use sphinx_testbed::key_header;
pub use sphinx_testbed::{IDENTITY_BYTES as MATERIAL, of_tenant};
use tempfile::TempDir;
use tokio::{net::TcpListener, task::JoinHandle};
use tonic::{Request, transport::Channel};

/// A running key vault.
pub struct Vault {
    pub address: SocketAddr,
    pub client: KeyVaultClient<Channel>,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<Result<(), RunError>>,
    pub dir: TempDir,
}

/// Starts a key vault with the defaults, changed by `change`.
pub async fn start(change: impl FnOnce(&mut Config)) -> Vault {
    let dir = tempfile::tempdir().unwrap();
    let mut config = Config::defaults(&SERVICE);
    config.store = dir.path().to_str().unwrap().to_owned();
    change(&mut config);
    config.validate().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let shutdown = CancellationToken::new();
    let served = tokio::spawn(run(config, listener, shutdown.clone()));
    let client = connect(address).await;
    Vault { address, client, shutdown, served, dir }
}

pub async fn connect(address: SocketAddr) -> KeyVaultClient<Channel> {
    KeyVaultClient::connect(format!("http://{address}")).await.unwrap()
}

/// Material that no other `tag` has.
pub fn material(tag: u8) -> Vec<u8> {
    (0..MATERIAL).map(|index| (index as u8).wrapping_mul(tag | 1).wrapping_add(tag)).collect()
}

/// The true header of some material.
pub fn header(key_id: &str, material: &[u8]) -> KeyHeader {
    key_header(key_id, KeyKind::Identity, material)
}

pub fn header_part(header: KeyHeader) -> ExchangeKeysRequest {
    ExchangeKeysRequest { part: Some(Part::Header(header)) }
}

pub fn chunk_part(chunk: &[u8]) -> ExchangeKeysRequest {
    ExchangeKeysRequest { part: Some(Part::Chunk(chunk.to_vec().into())) }
}

/// A whole upload in chunks of 10 bytes.
pub fn upload(header: KeyHeader, material: &[u8]) -> Vec<ExchangeKeysRequest> {
    sphinx_testbed::upload(header, material, 10)
}

/// A stream of messages as a request.
pub fn streamed(
    parts: Vec<ExchangeKeysRequest>,
) -> Request<tokio_stream::Iter<std::vec::IntoIter<ExchangeKeysRequest>>> {
    Request::new(tokio_stream::iter(parts))
}
