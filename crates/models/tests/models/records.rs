//! Objects that are damaged, moved, or of another release.

use std::fs;

use bytes::Bytes;
use prost::Message;
use sphinx_models::StoreError;
use sphinx_objects::ObjectError;
use sphinx_objects::record::{Record, RecordError, seal};
use sphinx_proto::{ErrorCode, RpcError};

use crate::{created, meta, model, store, tenant, version, versions_folder};

#[tokio::test]
async fn rejects_damaged_objects() {
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    store.commit(&meta, version(1, 1)).await.unwrap();
    let file = versions_folder(&dir, "default", "m", 1).join(format!("{:020}", 1));
    let sound = fs::read(&file).unwrap();

    let mut flipped = sound.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for (bytes, expected) in [
        (flipped, RecordError::Checksum),
        (sound[..20].to_vec(), RecordError::NoRecord { len: 20 }),
        (
            fs::read(file.with_file_name(format!("{:020}", 0))).unwrap(),
            RecordError::Message("it holds version 0".to_owned()),
        ),
    ] {
        fs::write(&file, bytes).unwrap();
        let error = store.load(&meta, None).await.unwrap_err();
        assert!(
            matches!(error, StoreError::Object(ObjectError::Damaged { cause, .. }) if cause == expected)
        );
        let repeated = store.commit(&meta, version(1, 1)).await.unwrap_err();
        assert!(matches!(repeated, StoreError::Object(ObjectError::Damaged { .. })));
    }
    fs::write(&file, sound).unwrap();
    assert_eq!(store.load(&meta, None).await.unwrap(), version(1, 1));
}

#[tokio::test]
async fn rejects_a_description_moved_to_another_tenant() {
    let (dir, store) = store();
    created(&store, &meta("acme", "m", 1)).await;
    let thief = dir.path().join("models/other/m");
    fs::create_dir_all(&thief).unwrap();
    fs::copy(dir.path().join("models/acme/m/meta"), thief.join("meta")).unwrap();
    let error = store.get(&tenant("other"), &model("m")).await.unwrap_err();
    assert!(matches!(error, StoreError::Object(ObjectError::Damaged { .. })), "{error}");
}

/// A version as the release before stored it: format 1, with its biases encrypted.
#[derive(Clone, PartialEq, Message)]
struct EarlierVersion {
    #[prost(uint64, tag = "1")]
    version: u64,
    #[prost(bytes = "bytes", repeated, tag = "8")]
    biases: Vec<Bytes>,
}

impl Record for EarlierVersion {
    const TYPE: &'static str = "model-version";
    const FORMAT: u16 = 1;
}

#[tokio::test]
async fn rejects_models_of_an_earlier_release_and_says_why() {
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    store.commit(&meta, version(1, 1)).await.unwrap();
    let earlier = EarlierVersion { version: 1, biases: vec![Bytes::from(vec![3; 64])] };
    let file = versions_folder(&dir, "default", "m", 1).join(format!("{:020}", 1));
    fs::write(&file, seal(&earlier)).unwrap();
    for wanted in [None, Some(1)] {
        let error = store.load(&meta, wanted).await.unwrap_err();
        assert_eq!(error, StoreError::Earlier { model: model("m") });
        assert_eq!(error.code(), ErrorCode::FailedPrecondition);
        let text = error.to_string();
        assert!(text.contains("decrypting what a server chose"), "{text}");
        assert!(text.contains("train a new model"), "{text}");
    }
    // One of a release to come is another matter, and so is one that is cut short.
    let mut later = seal(&earlier).to_vec();
    later[8] = 3;
    fs::write(&file, later).unwrap();
    let error = store.load(&meta, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Object(ObjectError::Damaged { .. })), "{error}");
    fs::write(&file, &seal(&earlier)[..30]).unwrap();
    let error = store.load(&meta, None).await.unwrap_err();
    assert!(matches!(error, StoreError::Object(ObjectError::Damaged { .. })), "{error}");
    // It can still be listed and removed.
    assert_eq!(store.list(&meta.tenant).await.unwrap().len(), 1);
    store.delete(&meta.tenant, &meta.model_id).await.unwrap();
}

#[tokio::test]
async fn rejects_versions_with_other_hashes_than_five_of_32_bytes() {
    /// The hashes of a version, in the place where it keeps them.
    #[derive(Clone, PartialEq, Message)]
    struct Hashes {
        #[prost(bytes = "vec", repeated, tag = "10")]
        hashes: Vec<Vec<u8>>,
    }
    impl Record for Hashes {
        const TYPE: &'static str = "model-version";
        const FORMAT: u16 = 2;
    }
    let (dir, store) = store();
    let meta = meta("default", "m", 1);
    created(&store, &meta).await;
    let file = versions_folder(&dir, "default", "m", 1).join(format!("{:020}", 0));
    let whole = vec![vec![7; 32]; 5];
    let short = [vec![vec![7; 31]], vec![vec![7; 32]; 4]].concat();
    for hashes in [vec![], vec![vec![7; 32]; 4], vec![vec![7; 32]; 6], short] {
        fs::write(&file, seal(&Hashes { hashes })).unwrap();
        let error = store.load(&meta, None).await.unwrap_err();
        assert!(error.to_string().contains("five of 32 bytes"), "{error}");
    }
    fs::write(&file, seal(&Hashes { hashes: whole })).unwrap();
    assert_eq!(store.load(&meta, None).await.unwrap().hashes.optimizer, [7; 32]);
}
