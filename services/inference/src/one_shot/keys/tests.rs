//! Keys that are exchanged or whose requests leave, with a key vault behind a socket.

use std::sync::mpsc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use sphinx_channel::Security;
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_proto::v1::exchange_keys_request::Part;
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{ExchangeKeysRequest, KeyHeader, KeyKind, ParameterSet};
use sphinx_runtime::CancellationToken;
use sphinx_secret::SecretKey;
use tokio::net::TcpListener;

use super::*;

/// Registers evaluation keys and returns what the key vault says of them.
async fn register(address: &str, key_id: &KeyId, material: &[u8]) -> Key {
    let header = KeyHeader {
        key_id: key_id.to_string(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        kind: KeyKind::Evaluation.into(),
        material_bytes: material.len() as u64,
        material_sha256: Sha256::digest(material).to_vec().into(),
        description: String::new(),
        offset: 0,
    };
    let chunks = material.chunks(1 << 20).map(|chunk| Part::Chunk(chunk.to_vec().into()));
    let parts: Vec<_> = std::iter::once(Part::Header(header))
        .chain(chunks)
        .map(|part| ExchangeKeysRequest { part: Some(part) })
        .collect();
    let mut vault = KeyVaultClient::connect(address.to_owned()).await.unwrap();
    let receipt = vault.exchange_keys(tokio_stream::iter(parts)).await.unwrap();
    receipt.into_inner().key.unwrap()
}

/// One request still means the keys that were registered before, while those registered now are
/// being fetched.
#[tokio::test(flavor = "multi_thread")]
async fn a_request_never_gets_others_than_those_it_was_checked_against() {
    let store = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let mut config = sphinx_keyvault::Config::defaults(&sphinx_keyvault::SERVICE);
    config.store = store.path().to_str().unwrap().to_owned();
    let shutdown = CancellationToken::new();
    let vault = tokio::spawn(sphinx_keyvault::run(config, listener, shutdown.clone()));

    let mut rng = ChaCha20Rng::seed_from_u64(8);
    let secret = SecretKey::generate(&mut rng).unwrap();
    let material = secret.evaluation_keys(OneShotProfile::default(), &mut rng).unwrap();
    let (tenant, key_id) = (TenantId::default(), KeyId::parse("mine").unwrap());
    let now = register(&address, &key_id, &material.to_bytes().unwrap()).await;
    let before = Key { fingerprint: "00".repeat(32), ..now.clone() };

    let directory = KeyDirectory::connect(&address, &Security::default()).unwrap();
    let keys = KeyCache::new(directory, Compute::new(2).unwrap(), 200 << 20);
    let prepared = |key: &Key| keys.prepared(tenant.clone(), key_id.clone(), key.clone());
    // The first one is polled first, so the second comes while it is under way.
    let (new, old) = tokio::join!(prepared(&now), prepared(&before));
    let new = new.unwrap();
    assert!(old.is_err(), "the keys registered now were taken for others");
    // What failed has not pushed out what is right.
    assert!(Arc::ptr_eq(&new, &prepared(&now).await.unwrap()));
    keys.forget(&tenant, &key_id, Some(&now.fingerprint)).await;
    assert!(Arc::ptr_eq(&new, &prepared(&now).await.unwrap()));
    keys.forget(&tenant, &key_id, None).await;
    assert!(keys.prepared.keys().is_empty());
    shutdown.cancel();
    vault.await.unwrap().unwrap();
}

#[tokio::test]
async fn an_expansion_whose_request_has_left_keeps_others_waiting_until_it_ends() {
    let (compute, lock) = (Compute::new(2).unwrap(), Arc::new(Mutex::new(())));
    let (begun, begins) = mpsc::channel();
    let (end, ends) = mpsc::channel::<()>();
    let alone = Arc::clone(&lock).lock_owned().await;
    let pool = compute.clone();
    let request = tokio::spawn(async move {
        let work = move || {
            begun.send(()).unwrap();
            ends.recv().is_ok()
        };
        run_alone(&pool, alone, work).await
    });
    tokio::task::spawn_blocking(move || begins.recv().unwrap()).await.unwrap();
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    assert!(lock.try_lock().is_err(), "the next expansion may begin beside this one");
    end.send(()).unwrap();
    drop(lock.lock().await);
}
