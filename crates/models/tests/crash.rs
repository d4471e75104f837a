//! A writing process killed at random moments loses nothing that it had acknowledged.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::process::Stdio;
use std::time::Duration;

use bytes::Bytes;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sphinx_models::{CommitId, ModelMeta, ModelStore, ModelVersion, VersionHashes};
use sphinx_proto::{KeyId, ModelId, SessionId, TenantId};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Tells the second copy of this program where to write.
const DIRECTORY: &str = "SPHINX_MODELS_CRASH_TEST_DIR";
const ROUNDS: usize = 25;

fn meta() -> ModelMeta {
    ModelMeta {
        tenant: TenantId::default(),
        model_id: ModelId::parse("m").unwrap(),
        key_id: KeyId::parse("k").unwrap(),
        network: Bytes::new(),
        seed: 0,
        created_unix_seconds: 0,
        incarnation: [1; 16],
    }
}

fn version(version: u64) -> ModelVersion {
    ModelVersion {
        version,
        commit: Some(CommitId { session: SessionId([2; 16]), step: version }),
        updated_unix_seconds: 0,
        weights: vec![vec![version as f32; 1000]],
        averaged: None,
        optimizer: Bytes::new(),
        optimizer_steps: version,
        averaged_steps: 0,
        sealed: Bytes::from(vec![version as u8; 500_000]),
        hashes: VersionHashes { chain: [version as u8; 32], ..VersionHashes::default() },
    }
}

/// Not a test but the process that is killed: commits until then and says each version it was
/// acknowledged.
#[tokio::test]
#[ignore = "started by acknowledged_versions_survive_sigkill"]
async fn writer() {
    let directory = std::env::var(DIRECTORY).expect("the directory to write to");
    let store = ModelStore::open(&directory).unwrap();
    let mut head = store.head(&meta()).await.unwrap();
    loop {
        head += 1;
        store.commit(&meta(), version(head)).await.unwrap();
        println!("\nacknowledged {head}");
    }
}

#[tokio::test]
async fn acknowledged_versions_survive_sigkill() {
    let dir = tempfile::tempdir().unwrap();
    let store = ModelStore::open(dir.path().to_str().unwrap()).unwrap();
    store.create(&meta(), version(0)).await.unwrap();
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let mut acknowledged = 0;
    for _ in 0..ROUNDS {
        let before = acknowledged;
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer", "--ignored", "--nocapture"])
            .env(DIRECTORY, dir.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut killed = false;
        while let Some(line) = lines.next_line().await.unwrap() {
            let Some(version) = line.strip_prefix("acknowledged ") else { continue };
            acknowledged = version.parse().unwrap();
            if !killed && acknowledged >= before + 2 {
                // Somewhere within the next commits.
                let delay = Duration::from_micros(rng.random_range(0..20_000));
                tokio::time::sleep(delay).await;
                child.start_kill().unwrap();
                killed = true;
            }
        }
        child.wait().await.unwrap();
        assert!(killed && acknowledged > before);

        let head = store.head(&meta()).await.unwrap();
        // The last commit may be stored without its line having been read.
        assert!(head == acknowledged || head == acknowledged + 1, "{head}, {acknowledged}");
        for kept in head.saturating_sub(7)..=head {
            let loaded = store.load(&meta(), Some(kept)).await.unwrap();
            // Version 0 is no commit's.
            let commit = version(kept).commit.filter(|_| kept > 0);
            assert!(loaded == ModelVersion { commit, ..version(kept) }, "version {kept}");
        }
        acknowledged = head;
    }
}
