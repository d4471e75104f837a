//! The key check against a key vault on a real socket.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use sphinx_channel::{
    AddressError, AddressFault, KeyDirectory, KeyDirectoryError, Security, SecurityError,
};
use sphinx_proto::v1::fetch_key_response::Part;
use sphinx_proto::v1::key_vault_server::{KeyVault, KeyVaultServer};
use sphinx_proto::v1::{
    DeleteKeyRequest, DeleteKeyResponse, ExchangeKeysRequest, ExchangeKeysResponse,
    FetchKeyRequest, FetchKeyResponse, FindUploadRequest, FindUploadResponse, GetKeyRequest,
    GetKeyResponse, Key, ListKeysRequest, ListKeysResponse, ParameterSet, RevokeKeyRequest,
    RevokeKeyResponse,
};
use sphinx_proto::{ErrorCode, KeyId, RpcError, TenantId};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Response, Status, Streaming, async_trait};

/// Knows `known` of tenant `acme`, answers `broken` with INTERNAL, and counts the questions.
#[derive(Clone, Default)]
struct OneKey {
    asked: Arc<AtomicUsize>,
    fetched: Arc<AtomicUsize>,
    /// How many fetches end after half of the material: with silence, or with ABORTED.
    silent: usize,
    aborted: usize,
    /// Whether `known` is revoked.
    revoked: Arc<AtomicBool>,
}

#[async_trait]
impl KeyVault for OneKey {
    type FetchKeyStream = BoxStream<'static, Result<FetchKeyResponse, Status>>;

    /// Six bytes that are no registered key's.
    async fn fetch_key(
        &self,
        _: Request<FetchKeyRequest>,
    ) -> Result<Response<Self::FetchKeyStream>, Status> {
        let message = |part| Ok(FetchKeyResponse { part: Some(part) });
        let half = stream::iter([Part::Key(Key::default()), chunk(b"abc")].map(message));
        let fetched = self.fetched.fetch_add(1, Ordering::SeqCst);
        Ok(Response::new(if fetched < self.silent {
            half.chain(stream::pending()).boxed()
        } else if fetched < self.aborted {
            half.chain(stream::iter([Err(Status::aborted("a part is gone"))])).boxed()
        } else {
            half.chain(stream::iter([message(chunk(b"def"))])).boxed()
        }))
    }

    async fn find_upload(
        &self,
        _: Request<FindUploadRequest>,
    ) -> Result<Response<FindUploadResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn delete_key(
        &self,
        _: Request<DeleteKeyRequest>,
    ) -> Result<Response<DeleteKeyResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn revoke_key(
        &self,
        _: Request<RevokeKeyRequest>,
    ) -> Result<Response<RevokeKeyResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn exchange_keys(
        &self,
        _: Request<Streaming<ExchangeKeysRequest>>,
    ) -> Result<Response<ExchangeKeysResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }

    async fn get_key(
        &self,
        request: Request<GetKeyRequest>,
    ) -> Result<Response<GetKeyResponse>, Status> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let tenant = request.metadata().get(TenantId::FIELD).cloned();
        let tenant = tenant.as_ref().and_then(|name| name.to_str().ok()).unwrap_or_default();
        let key_id = request.into_inner().key_id;
        let revoked_unix_seconds = self.revoked.load(Ordering::SeqCst).then_some(77);
        match (tenant, key_id.as_str()) {
            ("acme", "known") => Ok(Response::new(GetKeyResponse {
                key: Some(Key { key_id, revoked_unix_seconds, ..Default::default() }),
            })),
            (_, "outdated") => Err(Status::failed_precondition("of an earlier release")),
            (_, "broken") => Err(Status::internal("a fault")),
            _ => Err(Status::not_found("no such key")),
        }
    }

    async fn list_keys(
        &self,
        _: Request<ListKeysRequest>,
    ) -> Result<Response<ListKeysResponse>, Status> {
        Err(Status::unimplemented("not needed"))
    }
}

fn chunk(bytes: &'static [u8]) -> Part {
    Part::Chunk(bytes.into())
}

async fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

async fn start(vault: OneKey, address: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(KeyVaultServer::new(vault));
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    address
}

fn names(tenant: &str, key: &str) -> (TenantId, KeyId) {
    (TenantId::parse(tenant).unwrap(), KeyId::parse(key).unwrap())
}

#[tokio::test]
async fn a_known_key_is_asked_for_once() {
    let vault = OneKey::default();
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "known");
    for _ in 0..3 {
        assert_eq!(directory.require(&tenant, &key_id).await.unwrap().key_id, "known");
    }
    assert_eq!(vault.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn rejects_unknown_keys_and_those_of_other_tenants() {
    let vault = OneKey::default();
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    // Another tenant's answer is not remembered for this one.
    let (acme, known) = names("acme", "known");
    directory.require(&acme, &known).await.unwrap();
    for (tenant, key_id) in [names("acme", "other"), names("other", "known")] {
        let error = directory.require(&tenant, &key_id).await.unwrap_err();
        assert_eq!(error.code(), ErrorCode::FailedPrecondition);
        assert_eq!(error, KeyDirectoryError::Unknown { tenant, key_id });
    }
    // A refusal is not remembered either: the key may be registered next.
    let (tenant, key_id) = names("acme", "other");
    directory.require(&tenant, &key_id).await.unwrap_err();
    assert_eq!(vault.asked.load(Ordering::SeqCst), 4);
}

#[tokio::test]
async fn rejects_with_the_address_when_nobody_answers() {
    let address = format!("http://{}", free_address().await);
    let directory = KeyDirectory::connect(&address, &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "known");
    let error = directory.require(&tenant, &key_id).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::Unavailable);
    assert!(error.to_string().contains(&address), "{error}");
    assert!(matches!(error, KeyDirectoryError::Unreachable { tries: 4, .. }));
}

#[tokio::test]
async fn a_key_vault_that_comes_up_meanwhile_is_found() {
    let address = free_address().await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "known");
    let asking = tokio::spawn(async move { directory.require(&tenant, &key_id).await });
    tokio::time::sleep(Duration::from_millis(250)).await;
    start(OneKey::default(), address).await;
    assert_eq!(asking.await.unwrap().unwrap().key_id, "known");
}

#[tokio::test]
async fn rejects_a_broken_key_vault_without_trying_again() {
    let vault = OneKey::default();
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "broken");
    let error = directory.require(&tenant, &key_id).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::Answer { code: Code::Internal, .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::Internal);
    assert_eq!(vault.asked.load(Ordering::SeqCst), 1);
}

/// An answer counts for five seconds, so that a revocation reaches running work within them.
#[tokio::test]
async fn rejects_a_revoked_key_when_the_last_answer_is_old_and_evaluation_keys_at_once() {
    let vault = OneKey::default();
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "known");
    directory.require(&tenant, &key_id).await.unwrap();
    vault.revoked.store(true, Ordering::SeqCst);
    let expected =
        KeyDirectoryError::Revoked { tenant: tenant.clone(), key_id: key_id.clone(), since: 77 };
    assert_eq!(expected.code(), ErrorCode::FailedPrecondition);
    assert_eq!(directory.evaluation(&tenant, &key_id).await.unwrap_err(), expected);
    let begun = std::time::Instant::now();
    while directory.require(&tenant, &key_id).await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(6), "a revoked key stays known");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // From then on without a pause.
    assert_eq!(directory.require(&tenant, &key_id).await.unwrap_err(), expected);
}

#[tokio::test]
async fn a_silent_key_vault_is_taken_at_its_last_word_for_a_while() {
    let vault = OneKey::default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::builder().add_service(KeyVaultServer::new(vault));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(
        server.serve_with_incoming_shutdown(TcpListenerStream::new(listener), async {
            drop(stopped.await)
        }),
    );
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "known");
    directory.require(&tenant, &key_id).await.unwrap();
    stop.send(()).unwrap();
    serving.await.unwrap().unwrap();
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(directory.require(&tenant, &key_id).await.unwrap().key_id, "known");
    // Not asked again at every call.
    let begun = std::time::Instant::now();
    directory.require(&tenant, &key_id).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(500));
    let (tenant, key_id) = names("acme", "other");
    let error = directory.require(&tenant, &key_id).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn rejects_what_the_key_vault_refuses_with_its_reason() {
    let address = start(OneKey::default(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (tenant, key_id) = names("acme", "outdated");
    let error = directory.require(&tenant, &key_id).await.unwrap_err();
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    assert_eq!(error.to_string(), "of an earlier release");
}

#[test]
fn rejects_what_is_not_an_address() {
    let error = KeyDirectory::connect("not an address", &Security::default()).unwrap_err();
    let (got, fault) = ("not an address".to_owned(), AddressFault::NoScheme);
    assert_eq!(error, KeyDirectoryError::Address(AddressError { got, fault }));
    let error = KeyDirectory::connect("http://keyvault:7003", &Security::default()).unwrap_err();
    let address = "http://keyvault:7003".parse().unwrap();
    assert_eq!(error, SecurityError::Cleartext { address }.into());
}

#[tokio::test]
async fn evaluation_keys_are_asked_for_every_time() {
    let vault = OneKey::default();
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (acme, known) = (TenantId::parse("acme").unwrap(), KeyId::parse("known").unwrap());
    for asked in 1..=3 {
        directory.evaluation(&acme, &known).await.unwrap();
        assert_eq!(vault.asked.load(Ordering::SeqCst), asked);
    }
    let error = directory.evaluation(&TenantId::default(), &known).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::NoEvaluation { .. }), "{error}");
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
}

#[tokio::test]
async fn rejects_material_that_is_too_long_or_another_than_registered() {
    let address = start(OneKey::default(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (acme, known) = (TenantId::parse("acme").unwrap(), KeyId::parse("known").unwrap());
    let parameter_set = ParameterSet::Glwe2048V1.into();
    let key = Key { parameter_set, fingerprint: "00".into(), ..Key::default() };
    let material = directory.fetch_evaluation(&acme, &known, &key, 6).await.unwrap();
    assert_eq!(material, b"abcdef");
    let error = directory.verify(&key, &material).unwrap_err();
    assert!(matches!(error, KeyDirectoryError::Material { .. }), "{error}");
    let error = directory.fetch_evaluation(&acme, &known, &key, 5).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::Answer { .. }), "{error}");
}

/// What [`OneKey`] has registered.
fn registered() -> Key {
    Key { key_id: "known".to_owned(), ..Key::default() }
}

#[tokio::test]
async fn material_that_stops_coming_is_fetched_again() {
    let vault = OneKey { silent: 1, ..OneKey::default() };
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (acme, known) = names("acme", "known");
    let key = registered();
    let fetching = directory.fetch_evaluation(&acme, &known, &key, 6);
    let fetched = tokio::time::timeout(Duration::from_secs(20), fetching).await.unwrap();
    assert_eq!(fetched.unwrap(), b"abcdef");
    assert_eq!(vault.fetched.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn aborted_fetches_are_repeated_once_if_the_same_keys_are_registered() {
    let vault = OneKey { aborted: 1, ..OneKey::default() };
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let (acme, known) = names("acme", "known");
    let fetched = directory.fetch_evaluation(&acme, &known, &registered(), 6).await;
    assert_eq!(fetched.unwrap(), b"abcdef");

    let vault = OneKey { aborted: usize::MAX, ..OneKey::default() };
    let address = start(vault.clone(), "127.0.0.1:0".parse().unwrap()).await;
    let directory =
        KeyDirectory::connect(&format!("http://{address}"), &Security::default()).unwrap();
    let error = directory.fetch_evaluation(&acme, &known, &registered(), 6).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::Answer { code: Code::Aborted, .. }), "{error}");
    assert_eq!(vault.fetched.load(Ordering::SeqCst), 2);
    // Others are registered by now, or none.
    let key = Key { fingerprint: "00".to_owned(), ..registered() };
    let error = directory.fetch_evaluation(&acme, &known, &key, 6).await.unwrap_err();
    assert!(
        matches!(&error, KeyDirectoryError::Exchanged { expected, .. } if expected == "00"),
        "{error}"
    );
    assert_eq!(error.code(), ErrorCode::FailedPrecondition);
    let (other, gone) = names("other", "known");
    let error = directory.fetch_evaluation(&other, &gone, &key, 6).await.unwrap_err();
    assert!(matches!(error, KeyDirectoryError::NoEvaluation { .. }), "{error}");
}
