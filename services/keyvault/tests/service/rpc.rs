//! The key vault's RPCs over real sockets.

use crate::common::{
    MATERIAL, Vault, chunk_part, header, header_part, material, of_tenant, start, streamed, upload,
};
use sphinx_proto::{
    Fingerprint, Reason,
    v1::{ExchangeKeysRequest, GetKeyRequest, KeyHeader, KeyKind, ListKeysRequest, ParameterSet},
};
use tonic::{Code, Status};

async fn exchange(vault: &Vault, parts: Vec<ExchangeKeysRequest>) -> Result<bool, Status> {
    let reply = vault.client.clone().exchange_keys(streamed(parts)).await?;
    Ok(reply.into_inner().already_registered)
}

async fn keys(vault: &Vault) -> Vec<String> {
    let listed = vault.client.clone().list_keys(ListKeysRequest {}).await.unwrap();
    listed.into_inner().keys.into_iter().map(|key| key.key_id).collect()
}

#[tokio::test]
async fn a_registered_key_is_receipted_found_and_listed() {
    let mut vault = start(|_| ()).await;
    let bytes = material(1);
    let receipt = vault.client.exchange_keys(streamed(upload(header("laptop", &bytes), &bytes)));
    let receipt = receipt.await.unwrap().into_inner();
    assert!(!receipt.already_registered);
    let limits = receipt.limits.unwrap();
    assert_eq!((limits.max_keys, limits.max_chunk_bytes), (256, 1 << 20));
    let key = receipt.key.unwrap();
    assert_eq!(key.key_id, "laptop");
    assert_eq!(key.material_bytes, MATERIAL as u64);
    assert_eq!(key.description, "a test's");
    assert!(key.created_unix_seconds > 1_700_000_000);
    let fingerprint = Fingerprint::new(ParameterSet::Glwe2048V1, KeyKind::Identity, &bytes);
    assert_eq!(key.fingerprint, fingerprint.to_string());

    let found =
        vault.client.get_key(GetKeyRequest { key_id: "laptop".to_owned(), kind: 0 }).await.unwrap();
    assert_eq!(found.into_inner().key.as_ref(), Some(&key));
    let listed = vault.client.list_keys(ListKeysRequest {}).await.unwrap();
    assert_eq!(listed.into_inner().keys, [key]);
}

#[tokio::test]
async fn the_same_material_is_accepted_again() {
    let vault = start(|_| ()).await;
    let bytes = material(1);
    let parts = || upload(header("laptop", &bytes), &bytes);
    assert!(!exchange(&vault, parts()).await.unwrap());
    assert!(exchange(&vault, parts()).await.unwrap());
    assert_eq!(keys(&vault).await, ["laptop"]);
}

#[tokio::test]
async fn rejects_other_material_under_the_same_id() {
    let vault = start(|_| ()).await;
    let (first, second) = (material(1), material(2));
    exchange(&vault, upload(header("laptop", &first), &first)).await.unwrap();
    let status = exchange(&vault, upload(header("laptop", &second), &second)).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists);
    // The first is still the one that is stored.
    assert!(exchange(&vault, upload(header("laptop", &first), &first)).await.unwrap());
}

/// Every bad stream, what it is answered with, and a piece of the message.
#[tokio::test]
async fn rejects_bad_streams_and_stores_nothing() {
    let vault = start(|config| config.limits.max_chunk_bytes = 20).await;
    let bytes = material(1);
    let good = || header("laptop", &bytes);
    let with = |change: fn(&mut KeyHeader)| {
        let mut header = good();
        change(&mut header);
        upload(header, &bytes)
    };
    let longer = [bytes.as_slice(), &[0]].concat();
    let broken = [
        (vec![], "does not begin with a header"),
        (vec![ExchangeKeysRequest { part: None }], "does not begin with a header"),
        (vec![chunk_part(&bytes[..20])], "does not begin with a header"),
        (vec![header_part(good())], "ended after 0 of 32 bytes"),
        (upload(good(), &bytes[..MATERIAL - 1]), "ended after 31 of 32 bytes"),
        (upload(good(), &longer), "33 bytes of material or more"),
        (upload(good(), &material(2)), "SHA-256"),
        (vec![header_part(good()), header_part(good())], "a stream has one header"),
    ];
    for (parts, expected) in broken {
        let status = exchange(&vault, parts).await.unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{status:?}");
        assert_eq!(Reason::of(&status), Some(Reason::StreamBroken), "{status:?}");
        assert!(status.message().contains(expected), "{:?}: {expected}", status.message());
    }
    let cases = [
        (vec![header_part(good()), chunk_part(&bytes[..21])], "a chunk has 21 bytes"),
        (vec![header_part(good()), ExchangeKeysRequest { part: None }], "part is missing"),
        (with(|h| h.key_id = "../laptop".to_owned()), "key_id is \"../laptop\""),
        (with(|h| h.key_id = String::new()), "key_id is \"\""),
        (with(|h| h.parameter_set = 0), "parameter_set is 0"),
        (with(|h| h.parameter_set = 77), "parameter_set is 77"),
        (with(|h| h.kind = 0), "kind is 0"),
        // What earlier releases registered.
        (with(|h| h.kind = 1), "kind is 1"),
        (with(|h| h.kind = 4), "kind is 4"),
        (with(|h| h.material_bytes = 31), "material_bytes is 31"),
        (with(|h| h.material_bytes = u64::MAX), "this kind of key has 32"),
        (with(|h| h.material_sha256 = vec![0; 31].into()), "material_sha256 has length 31"),
        (with(|h| h.description = "x".repeat(201)), "description has 201 bytes"),
    ];
    for (parts, expected) in cases {
        let status = exchange(&vault, parts).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(Reason::of(&status), None, "{status:?}");
        assert!(status.message().contains(expected), "{:?}: {expected}", status.message());
        assert!(status.metadata().contains_key("x-request-id"));
    }
    assert_eq!(keys(&vault).await, Vec::<String>::new());
    assert!(!exchange(&vault, upload(good(), &bytes)).await.unwrap());
}

#[tokio::test]
async fn a_client_that_breaks_off_stores_nothing() {
    let vault = start(|_| ()).await;
    let bytes = material(1);
    let parts =
        tokio_stream::iter(vec![header_part(header("laptop", &bytes)), chunk_part(&bytes[..10])]);
    let endless = tokio_stream::StreamExt::chain(parts, tokio_stream::pending());
    let mut client = vault.client.clone();
    let upload = tokio::spawn(async move { client.exchange_keys(endless).await });
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    upload.abort();
    assert_eq!(keys(&vault).await, Vec::<String>::new());
    assert!(
        !exchange(&vault, crate::common::upload(header("laptop", &bytes), &bytes)).await.unwrap()
    );
}

#[tokio::test]
async fn rejects_a_silent_upload_after_the_idle_timeout() {
    let vault = start(|config| config.server.idle_timeout_ms = 200).await;
    let parts = tokio_stream::iter(vec![header_part(header("laptop", &material(1)))]);
    let endless = tokio_stream::StreamExt::chain(parts, tokio_stream::pending());
    let status = vault.client.clone().exchange_keys(endless).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
    assert!(status.message().contains("200 ms"), "{status:?}");
}

#[tokio::test]
async fn rejects_unknown_keys_and_bad_names() {
    let mut vault = start(|_| ()).await;
    let status =
        vault.client.get_key(GetKeyRequest { key_id: "nobody".into(), kind: 0 }).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("nobody"));
    let status =
        vault.client.get_key(GetKeyRequest { key_id: "A B".into(), kind: 0 }).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    let request = of_tenant("../acme", ListKeysRequest {});
    assert_eq!(vault.client.list_keys(request).await.unwrap_err().code(), Code::InvalidArgument);
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let mut vault = start(|_| ()).await;
    for (tenant, tag) in [("acme", 1), ("other", 2)] {
        let bytes = material(tag);
        let parts = tokio_stream::iter(upload(header("laptop", &bytes), &bytes));
        vault.client.exchange_keys(of_tenant(tenant, parts)).await.unwrap();
    }
    assert_eq!(keys(&vault).await, Vec::<String>::new());
    let mut prints = Vec::new();
    for tenant in ["acme", "other"] {
        let listed = vault.client.list_keys(of_tenant(tenant, ListKeysRequest {})).await.unwrap();
        prints.extend(listed.into_inner().keys.into_iter().map(|key| key.fingerprint));
    }
    assert_eq!(prints.len(), 2);
    assert_ne!(prints.first(), prints.last());
    let request = GetKeyRequest { key_id: "laptop".into(), kind: 0 };
    let status = vault.client.get_key(of_tenant("third", request)).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test]
async fn rejects_more_keys_than_the_limit_also_in_parallel() {
    let vault = start(|config| config.limits.max_keys = 3).await;
    let tries: Vec<_> = (0..10)
        .map(|tag| {
            let mut client = vault.client.clone();
            let bytes = material(tag);
            let parts = upload(header(&format!("key-{tag}"), &bytes), &bytes);
            tokio::spawn(async move { client.exchange_keys(streamed(parts)).await })
        })
        .collect();
    let mut refused = 0;
    for one in tries {
        if let Err(status) = one.await.unwrap() {
            assert_eq!(status.code(), Code::ResourceExhausted);
            refused += 1;
        }
    }
    assert_eq!(refused, 7);
    assert_eq!(keys(&vault).await.len(), 3);
}

#[tokio::test]
async fn a_damaged_record_is_an_internal_fault_whose_cause_is_not_sent() {
    let mut vault = start(|_| ()).await;
    let bytes = material(1);
    exchange(&vault, upload(header("laptop", &bytes), &bytes)).await.unwrap();
    let file = vault.dir.path().join("keys/default/laptop");
    let mut stored = std::fs::read(&file).unwrap();
    *stored.last_mut().unwrap() ^= 1;
    std::fs::write(&file, stored).unwrap();
    let status =
        vault.client.get_key(GetKeyRequest { key_id: "laptop".into(), kind: 0 }).await.unwrap_err();
    assert_eq!(status.code(), Code::Internal);
    assert!(!status.message().contains("laptop"), "{status:?}");
    assert!(status.metadata().contains_key("x-request-id"));
}
