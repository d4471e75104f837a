//! Revoked keys: shown as such, and neither registered again nor handed out.

use sphinx_proto::v1::{
    DeleteKeyRequest, FetchKeyRequest, GetKeyRequest, Key, KeyKind, ListKeysRequest,
    RevokeKeyRequest,
};
use tonic::{Code, Status};

use crate::common::{MATERIAL, Vault, header, material, of_tenant, start, streamed, upload};
use crate::evaluation::{self, EVALUATION, keys, send};

async fn revoke(vault: &Vault, key_id: &str) -> Result<Key, Status> {
    let request = RevokeKeyRequest { key_id: key_id.to_owned() };
    Ok(vault.client.clone().revoke_key(request).await?.into_inner().key.unwrap())
}

async fn get(vault: &Vault, key_id: &str, kind: i32) -> Key {
    let request = GetKeyRequest { key_id: key_id.to_owned(), kind };
    vault.client.clone().get_key(request).await.unwrap().into_inner().key.unwrap()
}

async fn register(vault: &Vault, key_id: &str, tag: u8) -> Result<Key, Status> {
    let bytes = material(tag);
    let parts = streamed(upload(header(key_id, &bytes), &bytes));
    Ok(vault.client.clone().exchange_keys(parts).await?.into_inner().key.unwrap())
}

#[tokio::test]
async fn a_revoked_key_stays_listed_and_the_first_revocation_counts() {
    let vault = start(|_| ()).await;
    let (key, other) = (register(&vault, "laptop", 1).await.unwrap(), material(2));
    register(&vault, "phone", 2).await.unwrap();
    assert_eq!((key.revoked_unix_seconds, key.material_bytes), (None, MATERIAL as u64));
    let revoked = revoke(&vault, "laptop").await.unwrap();
    let since = revoked.revoked_unix_seconds.unwrap();
    assert!(since >= key.created_unix_seconds);
    assert_eq!(revoked, Key { revoked_unix_seconds: Some(since), ..key });
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    assert_eq!(revoke(&vault, "laptop").await.unwrap(), revoked);
    assert_eq!(get(&vault, "laptop", 0).await, revoked);
    assert_eq!(get(&vault, "phone", 0).await.revoked_unix_seconds, None);
    let listed = vault.client.clone().list_keys(ListKeysRequest {}).await.unwrap().into_inner();
    let listed: Vec<_> = listed.keys.iter().map(|key| key.revoked_unix_seconds).collect();
    assert_eq!(listed, [Some(since), None]);
    // Another tenant's key of the same name is another key.
    let parts = tokio_stream::iter(upload(header("laptop", &other), &other));
    let receipt = vault.client.clone().exchange_keys(of_tenant("acme", parts)).await.unwrap();
    assert_eq!(receipt.into_inner().key.unwrap().revoked_unix_seconds, None);
}

#[tokio::test]
async fn a_revocation_outlives_the_process() {
    let mut vault = start(|_| ()).await;
    register(&vault, "laptop", 1).await.unwrap();
    revoke(&vault, "laptop").await.unwrap();
    vault.shutdown.cancel();
    vault.served.await.unwrap().unwrap();
    let store = vault.dir.path().to_str().unwrap().to_owned();
    let again = start(|config| config.store = store).await;
    (vault.address, vault.client) = (again.address, again.client.clone());
    let request = GetKeyRequest { key_id: "laptop".to_owned(), kind: 0 };
    let found = vault.client.get_key(request).await.unwrap().into_inner();
    assert!(found.key.unwrap().revoked_unix_seconds.is_some());
}

/// Every call, before and after the revocation of keys that are registered.
#[tokio::test]
async fn rejects_what_a_revoked_key_is_not_for() {
    let vault = start(|_| ()).await;
    register(&vault, "mine", 1).await.unwrap();
    send(&vault, evaluation::header("mine", keys()), keys()).await.unwrap();
    let fetch = async || {
        let (key_id, fingerprint) = ("mine".to_owned(), String::new());
        let request = FetchKeyRequest { key_id, kind: EVALUATION, fingerprint };
        vault.client.clone().fetch_key(request).await.map(drop)
    };
    fetch().await.unwrap();
    revoke(&vault, "mine").await.unwrap();
    let refused = [
        ("the same identity", register(&vault, "mine", 1).await.map(drop)),
        ("another identity", register(&vault, "mine", 2).await.map(drop)),
        ("evaluation keys", {
            send(&vault, evaluation::header("mine", keys()), keys()).await.map(drop)
        }),
        ("fetching", fetch().await),
    ];
    for (what, result) in refused {
        let status = result.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition, "{what}: {status:?}");
        assert!(status.message().contains("key mine was revoked at "), "{what}: {status:?}");
    }
    // The revocation is the id's: it holds for its evaluation keys, which can still be removed.
    assert!(get(&vault, "mine", EVALUATION).await.revoked_unix_seconds.is_some());
    let request = DeleteKeyRequest { key_id: "mine".to_owned(), kind: EVALUATION };
    vault.client.clone().delete_key(request).await.unwrap();
}

#[tokio::test]
async fn evaluation_keys_alone_can_be_revoked() {
    let vault = start(|_| ()).await;
    send(&vault, evaluation::header("mine", keys()), keys()).await.unwrap();
    let revoked = revoke(&vault, "mine").await.unwrap();
    assert_eq!(revoked.kind, i32::from(KeyKind::Evaluation));
    assert!(revoked.revoked_unix_seconds.is_some());
}

#[tokio::test]
async fn rejects_revoking_what_is_not_registered() {
    let vault = start(|_| ()).await;
    let status = revoke(&vault, "nobody").await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    // Nothing was noted for a key that may come.
    assert_eq!(register(&vault, "nobody", 1).await.unwrap().revoked_unix_seconds, None);
    assert_eq!(revoke(&vault, "../x").await.unwrap_err().code(), Code::InvalidArgument);
}
