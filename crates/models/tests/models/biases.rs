//! Encrypted biases beside the versions that they are of.

use std::fs;
use std::num::NonZeroU64;

use bytes::Bytes;
use sphinx_models::{CommitId, ModelVersion, Retention, StoreError};
use sphinx_objects::ObjectError;
use sphinx_objects::record::RecordError;
use sphinx_proto::SessionId;
use tempfile::TempDir;

use crate::{created, meta, model, store, version, versions_folder};

fn few(newest: u64, beginnings: u64) -> Retention {
    Retention { newest: NonZeroU64::new(newest).unwrap(), beginnings }
}

/// What the folder holds of the biases of model `m`.
fn stored_biases(dir: &TempDir) -> Vec<String> {
    let files = fs::read_dir(versions_folder(dir, "default", "m", 1)).unwrap();
    let names = files.map(|file| file.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| name.ends_with(".biases")).collect();
    names.sort();
    names
}

#[tokio::test]
async fn encrypted_biases_lie_beside_their_version_and_replace_each_other() {
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    store.commit(&meta, version(1, 1)).await.unwrap();
    assert_eq!(store.biases(&meta, 1).await, Ok(None));
    for biases in [Bytes::from_static(b"first"), Bytes::new(), Bytes::from(vec![9; 10_000])] {
        store.put_biases(&meta, 1, biases.clone()).await.unwrap();
        assert_eq!(store.biases(&meta, 1).await, Ok(Some(biases)));
    }
    assert_eq!((store.biases(&meta, 0).await, store.biases(&meta, 2).await), (Ok(None), Ok(None)));
    // Neither the versions nor where the model stands know of them.
    assert_eq!(store.load(&meta, None).await.unwrap(), version(1, 1));
    assert_eq!(store.get(&meta.tenant, &meta.model_id).await.unwrap().head, 1);
    assert_eq!(stored_biases(&dir), [format!("{:020}.biases", 1)]);
}

#[tokio::test]
async fn encrypted_biases_go_with_their_version() {
    let (dir, store) = store();
    let store = store.retaining(few(2, 1));
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=6 {
        let commit = Some(CommitId { session: SessionId([1; 16]), step: n - 1 });
        store.commit(&meta, ModelVersion { commit, ..version(n, 1) }).await.unwrap();
        store.put_biases(&meta, n, Bytes::from(vec![n as u8])).await.unwrap();
        if n == 1 {
            store.put_biases(&meta, 0, Bytes::from_static(b"begun")).await.unwrap();
        }
    }
    // Version 0 is kept: a session began there.
    let kept = [0, 5, 6].map(|n| format!("{n:020}.biases"));
    assert_eq!(stored_biases(&dir), kept);
    assert_eq!(store.biases(&meta, 0).await, Ok(Some(Bytes::from_static(b"begun"))));
    assert_eq!(store.biases(&meta, 4).await, Ok(None));
    store.delete(&meta.tenant, &meta.model_id).await.unwrap();
    assert_eq!(stored_biases(&dir), [""; 0]);
}

#[tokio::test]
async fn rejects_encrypted_biases_of_versions_and_models_that_are_not_there() {
    let (dir, store) = store();
    let store = store.retaining(few(2, 0));
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=4 {
        store.commit(&meta, version(n, 1)).await.unwrap();
    }
    for absent in [0, 2, 5, u64::MAX] {
        let model = meta.model_id.clone();
        let gone = StoreError::NoVersion { model, version: absent, oldest: 3, head: 4 };
        assert_eq!(store.put_biases(&meta, absent, Bytes::new()).await, Err(gone));
    }
    let stranger = self::meta("default", "n", 2);
    let gone = StoreError::NoModel { model: model("n") };
    assert_eq!(store.put_biases(&stranger, 0, Bytes::new()).await, Err(gone));
    assert_eq!(stored_biases(&dir), [""; 0]);
}

#[tokio::test]
async fn rejects_damaged_biases() {
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    store.put_biases(&meta, 0, Bytes::from_static(b"sound")).await.unwrap();
    let file = versions_folder(&dir, "default", "m", 1).join(format!("{:020}.biases", 0));
    let mut bytes = fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&file, bytes).unwrap();
    let error = store.biases(&meta, 0).await.unwrap_err();
    let checksum = RecordError::Checksum;
    assert!(
        matches!(error, StoreError::Object(ObjectError::Damaged { cause, .. }) if cause == checksum)
    );
}
