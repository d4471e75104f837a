//! The hint at the newest version: what it saves, and what goes on without it.

use std::sync::atomic::Ordering;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutPayload};
use sphinx_models::{CommitId, ModelMeta, ModelStore, ModelVersion};
use sphinx_proto::SessionId;

use crate::watched::{Requests, Watched};
use crate::{created, meta, version};

/// Where the hint of a model lies that [`meta`] describes.
pub fn hint_of(meta: &ModelMeta) -> Path {
    let incarnation = format!("{:032x}", u128::from_be_bytes(meta.incarnation));
    Path::from_iter(["models", meta.tenant.as_str(), meta.model_id.as_str(), "head", &incarnation])
}

/// The numbers by which versions are named, ascending.
pub async fn names(watched: &Watched, meta: &ModelMeta) -> Vec<u64> {
    let folder = hint_of(meta).to_string().replace("/head/", "/v/");
    let listed = watched.inner.list_with_delimiter(Some(&Path::from(folder))).await.unwrap();
    let names = listed.objects.iter().map(|object| object.location.filename().unwrap());
    let mut names: Vec<u64> = names.filter_map(|name| name.parse().ok()).collect();
    names.sort_unstable();
    names
}

pub async fn commit(store: &ModelStore, meta: &ModelMeta, number: u64, session: u8, step: u64) {
    let commit = Some(CommitId { session: SessionId([session; 16]), step });
    let committed = store.commit(meta, ModelVersion { commit, ..version(number, 0) }).await;
    assert!(!committed.unwrap().repeated);
}

#[tokio::test]
async fn no_request_for_a_model_lists_a_folder() {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    assert_eq!(watched.requests(), Requests { put: 3, ..Requests::default() });
    // Long after the first versions have gone.
    for n in 1..=30 {
        commit(&store, &meta, n, 1, n).await;
    }
    assert_eq!(watched.requests().list, 0);
    commit(&store, &meta, 31, 1, 31).await;
    let expected = Requests { put: 2, head: 5, delete: 2, ..Requests::default() };
    assert_eq!(watched.requests(), expected, "a commit");
    assert_eq!(store.head(&meta).await, Ok(31));
    assert_eq!(watched.requests(), Requests { get: 1, head: 3, ..Requests::default() }, "head");
    assert_eq!(store.load(&meta, None).await.unwrap().version, 31);
    let expected = Requests { get: 2, head: 3, ..Requests::default() };
    assert_eq!(watched.requests(), expected, "load of the newest");
    store.load(&meta, Some(30)).await.unwrap();
    assert_eq!(watched.requests(), Requests { get: 1, ..Requests::default() }, "load");
    assert_eq!(store.get(&meta.tenant, &meta.model_id).await.unwrap().head, 31);
    assert_eq!(watched.requests(), Requests { get: 2, head: 3, ..Requests::default() }, "get");
    store.put_biases(&meta, 31, Bytes::from_static(b"biases")).await.unwrap();
    assert_eq!(watched.requests(), Requests { put: 1, head: 1, ..Requests::default() }, "biases");
    assert_eq!(names(&watched, &meta).await, (24..=31).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_session_costs_one_listing_when_its_beginning_leaves_the_newest() {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    let mut head = 0;
    for session in 1..=3 {
        for step in 0..20 {
            head += 1;
            commit(&store, &meta, head, session, step).await;
        }
        let requests = watched.requests();
        assert_eq!((requests.list, requests.copy), (1, 1), "session {session}");
    }
    assert_eq!(names(&watched, &meta).await, (53..=60).collect::<Vec<_>>());
    for kept in [0, 20, 40] {
        assert_eq!(store.load(&meta, Some(kept)).await.unwrap().version, kept);
    }
}

#[tokio::test]
async fn whatever_the_hint_says_the_newest_version_is_found() {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    let hint = hint_of(&meta);
    created(&store, &meta).await;
    let mut hints = vec![watched.inner.get(&hint).await.unwrap().bytes().await.unwrap()];
    for n in 1..=40 {
        // Version 25 is kept as what a session began at, which a late hint may point to.
        commit(&store, &meta, n, 1, if n == 26 { 0 } else { n }).await;
        hints.push(watched.inner.get(&hint).await.unwrap().bytes().await.unwrap());
    }
    let mut flipped = hints[40].to_vec();
    *flipped.last_mut().unwrap() ^= 1;
    // What is stored in its place, and how often a folder may be listed for it.
    let late = |by: usize| (format!("late by {by}"), Some(hints[40 - by].clone()));
    for ((name, stored), lists) in [
        (late(0), 0),
        (late(1), 0),
        (late(6), 0),
        (late(8), 0),
        (late(9), 1),
        (late(15), 1),
        (late(40), 1),
        (("damaged".to_owned(), Some(flipped.into())), 1),
        (("cut".to_owned(), Some(hints[40].slice(..20))), 1),
        (("empty".to_owned(), Some(Bytes::new())), 1),
        (("missing".to_owned(), None), 1),
    ] {
        match stored {
            Some(bytes) => drop(watched.inner.put(&hint, bytes.into()).await.unwrap()),
            None => watched.inner.delete(&hint).await.unwrap(),
        }
        watched.requests();
        assert_eq!(store.head(&meta).await, Ok(40), "{name}");
        assert_eq!(watched.requests().list, lists, "{name}");
        assert_eq!(store.load(&meta, None).await.unwrap().version, 40, "{name}");
        assert_eq!(store.get(&meta.tenant, &meta.model_id).await.unwrap().head, 40, "{name}");
    }
    // Ahead of the model: a hint of one that has gone further.
    let other = self::meta("default", "n", 2);
    created(&store, &other).await;
    for n in 1..=12 {
        commit(&store, &other, n, 1, n).await;
    }
    for ahead in [13, 20, 40] {
        let bytes = PutPayload::from_bytes(hints[ahead].clone());
        watched.inner.put(&hint_of(&other), bytes).await.unwrap();
        assert_eq!(store.head(&other).await, Ok(12), "ahead at {ahead}");
    }
    // A commit sets it right.
    commit(&store, &other, 13, 1, 13).await;
    watched.requests();
    assert_eq!((store.head(&other).await, watched.requests().list), (Ok(13), 0));
}

#[tokio::test]
async fn what_could_not_be_removed_is_removed_by_a_later_commit() {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=20 {
        watched.stuck.store((10..15).contains(&n), Ordering::SeqCst);
        commit(&store, &meta, n, 1, n).await;
        assert_eq!(store.head(&meta).await, Ok(n));
        let names = names(&watched, &meta).await;
        let run: Vec<u64> = (names[0]..=n).collect();
        assert_eq!(names, run, "a gap after the commit of {n}");
    }
    assert_eq!(names(&watched, &meta).await, (13..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_store_of_the_release_before_goes_on_without_a_hint() {
    // It kept what a session had begun at under its name, and had no hints.
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=30 {
        commit(&store, &meta, n, 1, n - 1).await;
    }
    let kept = hint_of(&meta).to_string().replace("/head/", "/v/");
    let kept = Path::from(format!("{kept}/{:020}.kept", 0));
    let named = Path::from(kept.to_string().trim_end_matches(".kept"));
    watched.inner.rename(&kept, &named).await.unwrap();
    watched.inner.delete(&hint_of(&meta)).await.unwrap();

    assert_eq!(store.head(&meta).await, Ok(30));
    assert_eq!(store.load(&meta, Some(0)).await.unwrap().version, 0);
    commit(&store, &meta, 31, 2, 0).await;
    for n in 32..=40 {
        commit(&store, &meta, n, 2, n).await;
    }
    // It has its place among those that are kept.
    assert_eq!(names(&watched, &meta).await, (33..=40).collect::<Vec<_>>());
    assert_eq!(store.load(&meta, Some(0)).await.unwrap().version, 0);
    assert!(watched.inner.head(&kept).await.is_ok());
}
