//! Writers that fall asleep between their look at the model and their write.

use object_store::ObjectStoreExt;
use object_store::path::Path;
use sphinx_models::{CommitId, Committed, ModelMeta, ModelStore, ModelVersion, StoreError};
use sphinx_proto::SessionId;
use tokio::task::JoinHandle;

use crate::hints::{commit, hint_of, names};
use crate::watched::Watched;
use crate::{created, meta, version};

fn named(meta: &ModelMeta, number: u64) -> Path {
    let folder = hint_of(meta).to_string().replace("/head/", "/v/");
    Path::from(format!("{folder}/{number:020}"))
}

/// Begins the commit of version 5 at step `step` of a session of its own.
fn begin(
    store: &ModelStore,
    meta: &ModelMeta,
    step: u64,
) -> JoinHandle<Result<Committed, StoreError>> {
    let (store, meta) = (store.clone(), meta.clone());
    let commit = Some(CommitId { session: SessionId([9; 16]), step });
    tokio::spawn(async move { store.commit(&meta, ModelVersion { commit, ..version(5, 9) }).await })
}

/// A writer of version 5 sleeps while others make versions 5 to `until`.
async fn asleep(step: u64, until: u64, kept: bool) -> Result<Committed, StoreError> {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=4 {
        commit(&store, &meta, n, 1, n).await;
    }
    let gate = watched.hold(format!("{:020}", 5));
    let sleeper = begin(&store, &meta, step);
    gate.arrived().await;
    for n in 5..=until {
        // Others may have begun at version 4 as well, which is then kept.
        commit(&store, &meta, n, 2, if kept { n - 5 } else { n }).await;
    }
    gate.open();
    let result = sleeper.await.unwrap();
    if result.is_err() {
        assert_eq!(store.load(&meta, None).await.unwrap(), {
            let commit = CommitId { session: SessionId([2; 16]), step: until };
            let step = if kept { until - 5 } else { until };
            ModelVersion { commit: Some(CommitId { step, ..commit }), ..version(until, 0) }
        });
        let oldest = (until + 1).saturating_sub(8);
        assert_eq!(names(&watched, &meta).await, (oldest..=until).collect::<Vec<_>>());
    }
    result
}

#[tokio::test]
async fn a_writer_that_slept_takes_no_number_that_has_come_and_gone() {
    for until in [5, 6, 12, 13, 14, 25] {
        for (step, kept) in [(7, false), (0, false), (7, true), (0, true)] {
            let model = meta("default", "m", 1).model_id;
            let conflict = StoreError::Conflict { model, base: 4, head: until };
            assert_eq!(asleep(step, until, kept).await, Err(conflict), "{until} {step} {kept}");
        }
    }
    // Nobody came in between.
    assert_eq!(asleep(7, 4, false).await, Ok(Committed { version: 5, repeated: false }));
}

/// Its base has gone too and is there again for a moment: another sleeper's, who has not looked
/// yet.
#[tokio::test]
async fn another_sleeper_is_no_base() {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    for n in 1..=4 {
        commit(&store, &meta, n, 1, n).await;
    }
    let fourth = watched.inner.get(&named(&meta, 4)).await.unwrap().bytes().await.unwrap();
    let gate = watched.hold(format!("{:020}", 5));
    let sleeper = begin(&store, &meta, 7);
    gate.arrived().await;
    for n in 5..=25 {
        commit(&store, &meta, n, 2, n).await;
    }
    watched.inner.put(&named(&meta, 4), fourth.into()).await.unwrap();
    gate.open();
    let model = meta.model_id.clone();
    let conflict = StoreError::Conflict { model, base: 4, head: 25 };
    assert_eq!(sleeper.await.unwrap(), Err(conflict));
    assert!(watched.inner.head(&named(&meta, 5)).await.is_err());
}

/// A writer that was killed after its write and before its look has left a version that is none.
/// Even where a late hint points at it, it is not taken for the newest.
#[tokio::test]
async fn what_a_killed_sleeper_left_is_not_the_newest() {
    let (watched, store) = Watched::store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    let mut hint = None;
    for n in 1..=25 {
        commit(&store, &meta, n, 1, n).await;
        if n == 4 || n == 5 {
            let stored = watched.inner.get(&hint_of(&meta)).await.unwrap();
            hint = Some(stored.bytes().await.unwrap());
        }
    }
    let other = watched.inner.get(&named(&meta, 20)).await.unwrap().bytes().await.unwrap();
    watched.inner.put(&named(&meta, 5), other.into()).await.unwrap();
    watched.inner.put(&hint_of(&meta), hint.unwrap().into()).await.unwrap();
    assert_eq!(store.head(&meta).await, Ok(25));
    commit(&store, &meta, 26, 1, 26).await;
    assert_eq!(store.head(&meta).await, Ok(26));
}
