//! Evaluation keys: upload, resume, removal, and everything that is refused.

use std::sync::OnceLock;

use futures::StreamExt;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_evaluation_keys::{MAX_KEY_BYTES, OneShotProfile};
use sphinx_proto::{
    Fingerprint, Reason,
    v1::{
        DeleteKeyRequest, ExchangeKeysResponse, FetchKeyRequest, FindUploadRequest, GetKeyRequest,
        Key, KeyHeader, KeyKind, ListKeysRequest, ParameterSet, fetch_key_response::Part,
    },
};
use sphinx_secret::SecretKey;
use tonic::{Code, Status};

use crate::common::{Vault, chunk_part, header_part, of_tenant, start, streamed};

pub const PART: usize = 1 << 20;
pub const EVALUATION: i32 = KeyKind::Evaluation as i32;

/// Real evaluation keys, made once.
pub fn keys() -> &'static [u8] {
    static KEYS: OnceLock<Vec<u8>> = OnceLock::new();
    KEYS.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = SecretKey::generate(&mut rng).unwrap();
        let keys = key.evaluation_keys(OneShotProfile::Standard, &mut rng).unwrap();
        keys.to_bytes().unwrap()
    })
}

pub fn header(key_id: &str, material: &[u8]) -> KeyHeader {
    KeyHeader { kind: EVALUATION, ..crate::common::header(key_id, material) }
}

pub async fn send(
    vault: &Vault,
    header: KeyHeader,
    material: &[u8],
) -> Result<ExchangeKeysResponse, Status> {
    let chunks = material.chunks(PART / 2 + 17).map(chunk_part);
    let parts = std::iter::once(header_part(header)).chain(chunks).collect();
    Ok(vault.client.clone().exchange_keys(streamed(parts)).await?.into_inner())
}

pub async fn stored(vault: &Vault, header: KeyHeader) -> u64 {
    let request = FindUploadRequest { header: Some(header) };
    vault.client.clone().find_upload(request).await.unwrap().into_inner().stored_bytes
}

async fn fetch(vault: &Vault, request: FetchKeyRequest) -> Result<(Key, Vec<u8>), Status> {
    let mut stream = vault.client.clone().fetch_key(request).await?.into_inner();
    let (mut key, mut material) = (None, Vec::new());
    while let Some(message) = stream.next().await {
        match message?.part.unwrap() {
            Part::Key(first) => key = Some(first),
            Part::Chunk(chunk) => material.extend_from_slice(&chunk),
        }
    }
    Ok((key.unwrap(), material))
}

fn fetch_request(key_id: &str, fingerprint: &str) -> FetchKeyRequest {
    let (key_id, fingerprint) = (key_id.to_owned(), fingerprint.to_owned());
    FetchKeyRequest { key_id, kind: EVALUATION, fingerprint }
}

/// Files under the store's folder of parts.
pub fn part_files(vault: &Vault) -> usize {
    let tenants = std::fs::read_dir(vault.dir.path().join("parts")).into_iter().flatten();
    tenants.map(|tenant| std::fs::read_dir(tenant.unwrap().path()).unwrap().count()).sum()
}

#[tokio::test]
async fn registered_keys_are_found_fetched_and_removed() {
    let mut vault = start(|_| ()).await;
    let material = keys();
    assert!(material.len() <= MAX_KEY_BYTES);
    let receipt = send(&vault, header("laptop", material), material).await.unwrap();
    let key = receipt.key.unwrap();
    let fingerprint = Fingerprint::new(ParameterSet::Glwe2048V1, KeyKind::Evaluation, material);
    assert_eq!((key.kind, key.fingerprint.clone()), (EVALUATION, fingerprint.to_string()));
    let get = |kind| GetKeyRequest { key_id: "laptop".into(), kind };
    let found = vault.client.get_key(get(EVALUATION)).await.unwrap().into_inner().key.unwrap();
    assert_eq!(found, key);
    // The public key of that id is another matter.
    assert_eq!(vault.client.get_key(get(0)).await.unwrap_err().code(), Code::NotFound);
    let listed = vault.client.list_keys(ListKeysRequest {}).await.unwrap().into_inner().keys;
    assert_eq!(listed, std::slice::from_ref(&key));
    let (first, fetched) = fetch(&vault, fetch_request("laptop", &key.fingerprint)).await.unwrap();
    assert_eq!(first, key);
    assert!(fetched == material);
    let other = fetch(&vault, fetch_request("laptop", "0123")).await.unwrap_err();
    assert_eq!(Reason::of(&other), Some(Reason::BaseMoved), "{other:?}");

    let delete = |kind| DeleteKeyRequest { key_id: "laptop".into(), kind };
    let public = vault.client.delete_key(delete(1)).await.unwrap_err();
    assert_eq!(public.code(), Code::InvalidArgument, "{public:?}");
    let removed = vault.client.delete_key(delete(EVALUATION)).await.unwrap().into_inner();
    assert_eq!(removed.key, Some(key));
    assert_eq!(part_files(&vault), 0);
    let gone = vault.client.delete_key(delete(EVALUATION)).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
    let gone = fetch(&vault, fetch_request("laptop", "")).await.unwrap_err();
    assert_eq!(gone.code(), Code::NotFound);
}

#[tokio::test]
async fn a_broken_upload_goes_on_where_it_broke_even_after_a_restart() {
    let vault = start(|_| ()).await;
    let material = keys();
    let cut = 5 * PART + PART / 2;
    let status = send(&vault, header("laptop", material), &material[..cut]).await.unwrap_err();
    assert!(status.message().contains("the stream ended after"), "{status:?}");
    assert_eq!(Reason::of(&status), Some(Reason::StreamBroken), "{status:?}");
    let offset = stored(&vault, header("laptop", material)).await;
    assert_eq!(offset, 5 * PART as u64);

    let dir = vault.dir;
    vault.shutdown.cancel();
    vault.served.await.unwrap().unwrap();
    let vault = start(|config| config.store = dir.path().to_str().unwrap().to_owned()).await;
    let announced = header("laptop", material);
    assert_eq!(stored(&vault, announced.clone()).await, offset);
    // Neither beyond what is there nor in the middle of a part.
    for wrong in [offset + PART as u64, offset - 1] {
        let status = send(&vault, KeyHeader { offset: wrong, ..announced.clone() }, &[]).await;
        let status = status.unwrap_err();
        assert_eq!(Reason::of(&status), Some(Reason::BaseMoved), "{status:?}");
        assert!(status.message().contains("5242880 bytes are stored"), "{status:?}");
    }
    let rest = &material[offset as usize..];
    let receipt = send(&vault, KeyHeader { offset, ..announced }, rest).await.unwrap();
    assert!(!receipt.already_registered);
    let (_, fetched) = fetch(&vault, fetch_request("laptop", "")).await.unwrap();
    assert!(fetched == material);
}

#[tokio::test]
async fn material_that_is_there_is_not_sent_again() {
    let mut vault = start(|_| ()).await;
    let material = keys();
    send(&vault, header("laptop", material), material).await.unwrap();
    let all = material.len() as u64;
    // The same key again, and the same material under another id: headers alone.
    for (key_id, already) in [("laptop", true), ("desktop", false)] {
        let announced = header(key_id, material);
        assert_eq!(stored(&vault, announced.clone()).await, all);
        let receipt = send(&vault, KeyHeader { offset: all, ..announced }, &[]).await.unwrap();
        assert_eq!(receipt.already_registered, already);
    }
    // Another tenant has to send it.
    let request = FindUploadRequest { header: Some(header("laptop", material)) };
    let found = vault.client.find_upload(of_tenant("other", request)).await.unwrap();
    assert_eq!(found.into_inner().stored_bytes, 0);
    // Material stays as long as one key has it.
    let delete = DeleteKeyRequest { key_id: "laptop".into(), kind: EVALUATION };
    vault.client.delete_key(delete).await.unwrap();
    let (_, fetched) = fetch(&vault, fetch_request("desktop", "")).await.unwrap();
    assert!(fetched == material);
}

#[tokio::test]
async fn rejects_what_is_no_set_of_evaluation_keys_and_keeps_nothing_of_it() {
    let vault = start(|_| ()).await;
    let material = keys();
    let place = |what: &[u8]| material.windows(what.len()).position(|w| w == what).unwrap();
    let mut profile = material.to_vec();
    profile[place(b"standard")] ^= 1;
    let mut kind = material.to_vec();
    kind[place(b"sphinx_bootstrap::EvaluationKeys")] ^= 1;
    // Little-endian sizes: 2048 coefficients, which the words that follow have as well.
    let mut shape = material.to_vec();
    let words = shape.windows(8).rposition(|w| w == 2048u64.to_le_bytes()).unwrap();
    shape[words + 1] = 4;
    let longer = [material, &[0]].concat();
    let cases: [(&str, &[u8], &str); 6] = [
        ("truncated", &material[..material.len() - 1], "evaluation keys refused"),
        ("longer", &longer, "1 bytes behind the end"),
        ("another profile", &profile, "expected \"standard\""),
        ("another type", &kind, "not the evaluation keys"),
        ("one shape, another held", &shape, "evaluation keys refused"),
        ("noise", &[0x5a; 3 * PART], "not the evaluation keys"),
    ];
    for (what, bytes, expected) in cases {
        let status = send(&vault, header("laptop", bytes), bytes).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        assert!(status.message().contains(expected), "{what}: {status:?}");
        assert_eq!(part_files(&vault), 0, "{what}");
    }
    // Other bytes than those that were announced.
    let mut changed = material.to_vec();
    changed[9_000_000] ^= 1;
    let status = send(&vault, header("laptop", material), &changed).await.unwrap_err();
    assert!(status.message().contains("SHA-256"), "{status:?}");
    assert_eq!(Reason::of(&status), Some(Reason::StreamBroken), "{status:?}");
    assert_eq!(part_files(&vault), 0);
    // Too long, and nothing, by the header already.
    for got in [MAX_KEY_BYTES as u64 + 1, 0, u64::MAX] {
        let announced = KeyHeader { material_bytes: got, ..header("laptop", material) };
        let status = send(&vault, announced, &[]).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    }
    send(&vault, header("laptop", material), material).await.unwrap();
}

#[tokio::test]
async fn rejects_more_evaluation_keys_than_the_limit() {
    let vault = start(|config| config.limits.max_evaluation_keys = 1).await;
    let material = keys();
    send(&vault, header("first", material), material).await.unwrap();
    let offset = material.len() as u64;
    let second = KeyHeader { offset, ..header("second", material) };
    let status = send(&vault, second, &[]).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let other = vec![1; 2 * PART];
    let status = send(&vault, header("first", &other), &other).await.unwrap_err();
    assert_eq!(status.code(), Code::AlreadyExists, "{status:?}");
}
