//! The key file: round trip and refusals.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_secret::{KeyFileError, SecretKey};

fn saved() -> (tempfile::TempDir, std::path::PathBuf, SecretKey, ChaCha20Rng) {
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let key = SecretKey::generate(&mut rng).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("key");
    key.save(&path).unwrap();
    (directory, path, key, rng)
}

#[test]
fn a_saved_key_decrypts_what_it_encrypted() {
    let (_directory, path, key, mut rng) = saved();
    let material = key.public_material(&mut rng);
    assert!(SecretKey::load(&path).unwrap().matches(&material));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn rejects_overwriting() {
    let (_directory, path, key, _) = saved();
    assert!(matches!(key.save(&path), Err(KeyFileError::Exists { .. })));
}

#[test]
fn rejects_readable_damaged_and_foreign_files() {
    let (_directory, path, _, _) = saved();
    let good = fs::read(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    assert!(matches!(SecretKey::load(&path), Err(KeyFileError::Permissions { mode: 0o644, .. })));
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut flipped = good.clone();
    flipped[100] ^= 1;
    for damaged in [flipped, good[..200].to_vec(), [good.clone(), vec![0]].concat()] {
        fs::write(&path, damaged).unwrap();
        assert!(matches!(SecretKey::load(&path), Err(KeyFileError::Damaged { .. })));
    }
    fs::write(&path, b"something else").unwrap();
    assert!(matches!(SecretKey::load(&path), Err(KeyFileError::Header { .. })));
}
