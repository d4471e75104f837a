//! Secret material that is sent in the place of public material.

use std::path::Path;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_proto::v1::{KeyKind, ListKeysRequest};
use sphinx_secret::{ModelName, RootKey};
use tfhe::Versionize;
use tfhe::core_crypto::commons::math::random::Seed;
use tfhe::core_crypto::prelude::{
    DefaultRandomGenerator, GlweDimension, LweDimension, PolynomialSize, SecretRandomGenerator,
    allocate_and_generate_new_binary_glwe_secret_key,
    allocate_and_generate_new_binary_lwe_secret_key,
};
use tfhe::named::Named;
use tfhe::safe_serialization::{SerializationConfig, safe_serialize};
use tonic::Code;

use crate::common::{MATERIAL, start, streamed, upload};
use crate::evaluation::{header, keys, send};

/// As tfhe stores it, its type in front.
fn named(key: &(impl serde::Serialize + Versionize + Named)) -> Vec<u8> {
    let mut bytes = Vec::new();
    safe_serialize(key, &mut bytes, 1 << 20).unwrap();
    bytes
}

/// As serde writes it: the last `length` bytes of the form that has a header and no version.
fn bare(key: &(impl serde::Serialize + Versionize + Named), length: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let config = SerializationConfig::new(1 << 20).disable_versioning();
    config.serialize_into(key, &mut bytes).unwrap();
    let bare = bytes.split_off(bytes.len() - length);
    assert_eq!(bare[..8], 2048u64.to_le_bytes());
    bare
}

/// Real secret keys in every form they are written in.
fn secrets() -> Vec<(&'static str, Vec<u8>)> {
    let dir = tempfile::tempdir().unwrap();
    let root = RootKey::generate(&mut ChaCha20Rng::seed_from_u64(2));
    root.save(&dir.path().join("key")).unwrap();
    let file = std::fs::read(dir.path().join("key")).unwrap();
    let (tenant, model, incarnation) = ("default".to_owned(), "digits".to_owned(), [1; 16]);
    let read = root.read_key(&ModelName { tenant, model, incarnation });
    read.save(&dir.path().join("read")).unwrap();
    let read = std::fs::read(dir.path().join("read")).unwrap();
    let earlier = [b"sphinx secret key 1 glwe-2048-v1".as_slice(), &[0x3c; 288]].concat();
    let mut generator = SecretRandomGenerator::<DefaultRandomGenerator>::new(Seed(2));
    let glwe = allocate_and_generate_new_binary_glwe_secret_key::<u64, _>(
        GlweDimension(1),
        PolynomialSize(2048),
        &mut generator,
    );
    let lwe = allocate_and_generate_new_binary_lwe_secret_key::<u64, _>(
        LweDimension(2048),
        &mut generator,
    );
    vec![
        ("a key file of Sphinx", file),
        ("a key file of an earlier release", earlier),
        ("a read key of Sphinx", read),
        ("a GLWE key of tfhe", named(&glwe)),
        ("an LWE key of tfhe", named(&lwe)),
        ("a bare GLWE key", bare(&glwe, 8 + 2048 * 8 + 8)),
        ("a bare LWE key", bare(&lwe, 8 + 2048 * 8)),
    ]
}

/// Whether bytes are a key file of any release.
fn is_key_file(what: &str) -> bool {
    what.starts_with("a key file")
}

/// Files below a directory.
fn files(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
}

#[tokio::test]
async fn rejects_secret_keys_as_identities_and_stores_nothing() {
    let mut vault = start(|_| ()).await;
    for (what, bytes) in secrets() {
        // In full, and cut to the length of an identity.
        let fitted = bytes[..MATERIAL].to_vec();
        for sent in [bytes, fitted] {
            let parts = upload(crate::common::header("laptop", &sent), &sent);
            let status = vault.client.exchange_keys(streamed(parts)).await.unwrap_err();
            assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
            let expected = match what {
                _ if sent.len() != MATERIAL => "this kind of key has 32",
                what if is_key_file(what) => "a key file of Sphinx",
                "a read key of Sphinx" => "a read key of Sphinx",
                _ => "one byte value occurs more than 12 times",
            };
            assert!(status.message().contains(expected), "{what}: {status:?}");
            assert_eq!(files(vault.dir.path()), 0, "{what}");
        }
    }
    let listed = vault.client.list_keys(ListKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.keys, []);
    // What a client really registers is taken.
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let public = RootKey::generate(&mut rng).identity().0;
    let parts = upload(crate::common::header("laptop", &public), &public);
    let receipt = vault.client.exchange_keys(streamed(parts)).await.unwrap().into_inner();
    assert_eq!(receipt.key.unwrap().kind, i32::from(KeyKind::Identity));
}

#[tokio::test]
async fn rejects_secret_keys_as_evaluation_keys_and_stores_nothing() {
    let vault = start(|_| ()).await;
    let mut cases = secrets();
    // Hidden behind what evaluation keys begin with.
    let bare = cases.last().unwrap().1.clone();
    let behind = [&keys()[..200], &bare].concat();
    cases.push(("a bare key behind a true start", behind));
    // Behind a name that only begins like that of evaluation keys.
    let mut other = keys()[..100].to_vec();
    let name = b"sphinx_bootstrap::EvaluationKeys";
    let at = other.windows(name.len()).position(|window| window == name).unwrap();
    other[at + name.len() - 1] = b'z';
    cases.push(("a bare key behind another name", [&other[..], &bare].concat()));
    for (what, bytes) in cases {
        let status = send(&vault, header("laptop", &bytes), &bytes).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{what}: {status:?}");
        let expected = match what {
            what if is_key_file(what) => "a key file of Sphinx",
            "a read key of Sphinx" => "a read key of Sphinx",
            "a GLWE key of tfhe" | "an LWE key of tfhe" => "a secret key of tfhe",
            "a bare key behind a true start" => "evaluation keys refused",
            _ => "no header that names sphinx_bootstrap::EvaluationKeys",
        };
        assert!(status.message().contains(expected), "{what}: {status:?}");
        assert_eq!(files(vault.dir.path()), 0, "{what}");
    }
    let listed = vault.client.clone().list_keys(ListKeysRequest {}).await.unwrap().into_inner();
    assert_eq!(listed.keys, []);
}
