//! The model store on a real directory.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod biases;
mod hints;
mod records;
mod sleepers;
mod watched;

use std::fs;
use std::num::NonZeroU64;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use object_store::memory::InMemory;
use sphinx_models::{
    CommitId, Committed, ModelMeta, ModelStore, ModelVersion, Retention, StoreError, VersionHashes,
};
use sphinx_proto::{KeyId, ModelId, SessionId, TenantId};
use tempfile::TempDir;

fn store() -> (TempDir, ModelStore) {
    let dir = tempfile::tempdir().unwrap();
    let store = ModelStore::open(dir.path().to_str().unwrap()).unwrap();
    (dir, store)
}

fn tenant(name: &str) -> TenantId {
    TenantId::parse(name).unwrap()
}

fn model(name: &str) -> ModelId {
    ModelId::parse(name).unwrap()
}

fn meta(owner: &str, name: &str, incarnation: u8) -> ModelMeta {
    ModelMeta {
        tenant: tenant(owner),
        model_id: model(name),
        key_id: KeyId::parse("key-1").unwrap(),
        network: Bytes::from_static(b"network"),
        seed: 7,
        created_unix_seconds: 1_700_000_000,
        incarnation: [incarnation; 16],
    }
}

fn version(version: u64, session: u8) -> ModelVersion {
    ModelVersion {
        version,
        commit: Some(CommitId { session: SessionId([session; 16]), step: version }),
        updated_unix_seconds: 1_700_000_000 + i64::try_from(version).unwrap(),
        weights: vec![vec![version as f32; 10], vec![0.5, -0.0, f32::MIN_POSITIVE]],
        averaged: Some(vec![vec![1.0], vec![]]),
        optimizer: Bytes::from_static(b"state"),
        optimizer_steps: 40 + version,
        averaged_steps: 30 + version,
        sealed: Bytes::from(vec![3; 64]),
        hashes: VersionHashes {
            chain: [version as u8; 32],
            previous: [1; 32],
            gradient: [2; 32],
            weights: [3; 32],
            optimizer: [4; 32],
        },
    }
}

async fn created(store: &ModelStore, meta: &ModelMeta) {
    assert!(!store.create(meta, version(0, 0)).await.unwrap().repeated);
}

#[tokio::test]
async fn commits_follow_each_other_and_load() {
    let (_dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=3 {
        let committed = store.commit(&meta, version(n, 1)).await.unwrap();
        assert_eq!(committed, Committed { version: n, repeated: false });
    }
    assert_eq!(store.load(&meta, None).await.unwrap(), version(3, 1));
    assert_eq!(store.load(&meta, Some(2)).await.unwrap(), version(2, 1));
    let first = store.load(&meta, Some(0)).await.unwrap();
    assert_eq!(first, ModelVersion { commit: None, ..version(0, 0) });
    let stored = store.get(&meta.tenant, &meta.model_id).await.unwrap();
    assert_eq!((stored.head, stored.meta), (3, meta));
    assert!(stored.updated_unix_seconds > 1_700_000_000);
}

#[tokio::test]
async fn only_one_of_many_concurrent_commits_wins() {
    let (_dir, disk) = store();
    for store in [disk, ModelStore::with_backend(Arc::new(InMemory::new()))] {
        let meta = meta("default", "m", 1);
        created(&store, &meta).await;
        for n in 1..=20 {
            let tries = (0..8).map(|session| {
                let (store, meta) = (store.clone(), meta.clone());
                tokio::spawn(async move { store.commit(&meta, version(n, session)).await })
            });
            let mut winners = 0;
            for one in tries.collect::<Vec<_>>() {
                match one.await.unwrap() {
                    Ok(committed) => {
                        assert_eq!(committed, Committed { version: n, repeated: false });
                        winners += 1;
                    }
                    Err(error) => {
                        let model = meta.model_id.clone();
                        assert_eq!(error, StoreError::Conflict { model, base: n - 1, head: n });
                    }
                }
            }
            assert_eq!(winners, 1);
        }
    }
}

#[tokio::test]
async fn a_repeated_commit_answers_with_the_stored_version() {
    let (_dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    store.commit(&meta, version(1, 1)).await.unwrap();
    let repeated = Committed { version: 1, repeated: true };
    assert_eq!(store.commit(&meta, version(1, 1)).await, Ok(repeated));
    store.commit(&meta, version(2, 2)).await.unwrap();
    assert_eq!(store.commit(&meta, version(1, 1)).await, Ok(repeated));
    assert_eq!(store.head(&meta).await, Ok(2));
}

#[tokio::test]
async fn rejects_commits_on_other_versions_than_the_head() {
    let (_dir, store) = store();
    let retention = Retention { newest: NonZeroU64::new(2).unwrap(), ..Retention::default() };
    let store = store.retaining(retention);
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=6 {
        store.commit(&meta, version(n, 1)).await.unwrap();
    }
    // Version 3 is pruned, so its place is free, and yet it is not to be taken again.
    for (n, base) in [(0, 0), (3, 2), (6, 5), (8, 7)] {
        let model = meta.model_id.clone();
        let conflict = StoreError::Conflict { model, base, head: 6 };
        assert_eq!(store.commit(&meta, version(n, 9)).await, Err(conflict), "version {n}");
    }
    assert_eq!(store.load(&meta, None).await.unwrap(), version(6, 1));
}

#[tokio::test]
async fn only_the_newest_versions_are_kept() {
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=30 {
        store.commit(&meta, version(n, 1)).await.unwrap();
    }
    let files = fs::read_dir(versions_folder(&dir, "default", "m", 1)).unwrap().count();
    assert_eq!(files, 8);
    assert!(store.load(&meta, Some(23)).await.is_ok());
    let model = meta.model_id.clone();
    let gone = StoreError::NoVersion { model, version: 22, oldest: 23, head: 30 };
    assert_eq!(store.load(&meta, Some(22)).await, Err(gone));
}

/// Three sessions of 20 commits each: what each of them began at can still be read after the last
/// one.
#[tokio::test]
async fn versions_that_sessions_began_at_are_kept() {
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    let mut head = 0;
    for session in 1..=3 {
        for step in 0..20 {
            head += 1;
            let commit = Some(CommitId { session: SessionId([session; 16]), step });
            store.commit(&meta, ModelVersion { commit, ..version(head, 0) }).await.unwrap();
        }
    }
    for kept in [0, 20, 40].into_iter().chain(53..=60) {
        assert_eq!(store.load(&meta, Some(kept)).await.unwrap().version, kept);
    }
    let model = meta.model_id.clone();
    let gone = StoreError::NoVersion { model, version: 41, oldest: 0, head: 60 };
    assert_eq!(store.load(&meta, Some(41)).await, Err(gone));
    let files = || fs::read_dir(versions_folder(&dir, "default", "m", 1)).unwrap().count();
    assert_eq!(files(), 3 + 8 + 3, "versions, and marks of three of them");

    // Fewer from now on: when the next one leaves the newest.
    let few = Retention { beginnings: 1, ..Retention::default() };
    let store = store.retaining(few);
    for step in 0..8 {
        head += 1;
        let commit = Some(CommitId { session: SessionId([4; 16]), step });
        store.commit(&meta, ModelVersion { commit, ..version(head, 0) }).await.unwrap();
    }
    for gone in [0, 20, 40, 59] {
        assert!(store.load(&meta, Some(gone)).await.is_err(), "version {gone}");
    }
    assert_eq!((store.load(&meta, Some(60)).await.unwrap().version, files()), (60, 1 + 8 + 1));
    store.delete(&meta.tenant, &meta.model_id).await.unwrap();
    assert_eq!(files(), 0);
}

#[tokio::test]
async fn creation_is_idempotent_until_the_first_commit() {
    let (_dir, store) = store();
    let first = meta("default", "m", 1);
    created(&store, &first).await;
    let again = store.create(&meta("default", "m", 2), version(0, 0)).await.unwrap();
    assert!(again.repeated);
    assert_eq!(again.model.meta, first);
    store.commit(&first, version(1, 1)).await.unwrap();
    let exists = StoreError::ModelExists { model: model("m") };
    assert_eq!(store.create(&meta("default", "m", 3), version(0, 0)).await, Err(exists));
}

#[tokio::test]
async fn rejects_a_second_model_of_the_same_name() {
    let (_dir, store) = store();
    created(&store, &meta("default", "m", 1)).await;
    let other = ModelMeta { seed: 8, ..meta("default", "m", 2) };
    let exists = StoreError::ModelExists { model: model("m") };
    assert_eq!(store.create(&other, version(0, 0)).await, Err(exists));
}

#[tokio::test]
async fn a_deleted_model_leaves_nothing_to_its_successor() {
    let (_dir, store) = store();
    let old = meta("default", "m", 1);
    created(&store, &old).await;
    store.commit(&old, version(1, 1)).await.unwrap();
    store.delete(&old.tenant, &old.model_id).await.unwrap();
    let gone = StoreError::NoModel { model: model("m") };
    assert_eq!(store.get(&old.tenant, &old.model_id).await, Err(gone.clone()));
    assert_eq!(store.delete(&old.tenant, &old.model_id).await, Err(gone.clone()));
    assert_eq!(store.list(&old.tenant).await, Ok(vec![]));

    let new = ModelMeta { seed: 99, ..meta("default", "m", 2) };
    created(&store, &new).await;
    // A session that was open on the old model cannot commit to the new one.
    assert_eq!(store.commit(&old, version(2, 1)).await, Err(gone));
    assert_eq!(store.head(&new).await, Ok(0));
}

#[tokio::test]
async fn tenants_do_not_see_each_other() {
    let (_dir, store) = store();
    created(&store, &meta("acme", "m", 1)).await;
    created(&store, &meta("acme", "a", 2)).await;
    created(&store, &meta("other", "m", 3)).await;
    let names = |list: Vec<sphinx_models::StoredModel>| {
        list.into_iter().map(|stored| stored.meta.model_id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(names(store.list(&tenant("acme")).await.unwrap()), ["a", "m"]);
    assert_eq!(names(store.list(&tenant("other")).await.unwrap()), ["m"]);
    assert_eq!(store.list(&tenant("nobody")).await, Ok(vec![]));
    store.delete(&tenant("acme"), &model("m")).await.unwrap();
    assert_eq!(store.get(&tenant("other"), &model("m")).await.unwrap().head, 0);
}

/// Parameters of the size of `sphinx-mnist`'s with the largest sealed state; the bound is ten times
/// what is expected, since tests share the machine.
#[tokio::test]
async fn a_commit_of_four_megabytes_is_fast() {
    let (_dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    let large = |n| ModelVersion {
        weights: vec![vec![0.25; 33_400]],
        averaged: Some(vec![vec![0.25; 33_400]]),
        optimizer: Bytes::from(vec![1; 2 * 4 * 33_400]),
        sealed: Bytes::from(vec![5; 3 << 20]),
        ..version(n, 1)
    };
    let mut times = Vec::new();
    for n in 1..=20 {
        let next = large(n);
        let start = Instant::now();
        store.commit(&meta, next).await.unwrap();
        times.push(start.elapsed());
    }
    times.sort_unstable();
    let median = times[times.len() / 2];
    println!("commit of 4 MB: median {median:?}");
    assert!(median.as_millis() < 150, "{median:?}");
    let start = Instant::now();
    assert_eq!(store.load(&meta, None).await.unwrap(), large(20));
    println!("load of 4 MB: {:?}", start.elapsed());
}

fn versions_folder(dir: &TempDir, tenant: &str, model: &str, incarnation: u8) -> PathBuf {
    let incarnation = format!("{incarnation:02x}").repeat(16);
    dir.path().join("models").join(tenant).join(model).join("v").join(incarnation)
}
