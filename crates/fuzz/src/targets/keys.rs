//! Keys: those that a client uploads, and the files of its home.

use std::sync::OnceLock;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use sphinx_evaluation_keys::{EvaluationKeys, OneShotProfile};
use sphinx_secret::{ModelName, Passphrase, ReadKey, RootKey, read_backup, write_backup};

use crate::scratch;

/// Bytes of the SHA-256 at the end of a key file.
const CHECKSUM: usize = 32;

/// Evaluation keys as the key vault takes them.
pub(crate) fn evaluation(bytes: &[u8]) {
    let _ = EvaluationKeys::check_header(bytes);
    let _ = EvaluationKeys::from_bytes(bytes);
}

/// The beginning of real keys: what follows is a mass of words.
pub(crate) fn evaluation_seeds() -> Vec<Vec<u8>> {
    static SEEDS: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let seeds = SEEDS.get_or_init(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let key = RootKey::generate(&mut rng).one_shot_key().unwrap();
        let made = OneShotProfile::ALL.map(|profile| key.evaluation_keys(profile, &mut rng));
        let bytes = made.map(|keys| keys.unwrap().to_bytes().unwrap());
        bytes.map(|bytes| bytes.into_iter().take(4096).collect()).into()
    });
    seeds.clone()
}

/// Key files, read keys and backups: as the bytes are, and with a checksum that is right, so that
/// what stands behind it is reached.
pub(crate) fn files(bytes: &[u8]) {
    let body = &bytes[..bytes.len().saturating_sub(CHECKSUM)];
    let checked = [body, &Sha256::digest(body)[..]].concat();
    for bytes in [bytes, &checked] {
        let path = scratch::file("key", bytes);
        let _ = (RootKey::load(&path), RootKey::is_sealed(&path), RootKey::identity_of(&path));
        let _ = (ReadKey::load(&path), read_backup(&path, None));
    }
}

pub(crate) fn file_seeds() -> Vec<Vec<u8>> {
    let root = RootKey::generate(&mut ChaCha20Rng::seed_from_u64(2));
    let passphrase = Passphrase::new("a passphrase".to_owned().into()).unwrap();
    let model = ModelName { tenant: "t".to_owned(), model: "m".to_owned(), incarnation: [3; 16] };
    vec![
        scratch::written("root", |path| root.save(path).unwrap()),
        scratch::written("sealed", |path| root.save_sealed(path, &passphrase).unwrap()),
        scratch::written("read", |path| root.read_key(&model).save(path).unwrap()),
        scratch::written("backup", |path| write_backup(path, b"files", None).unwrap()),
    ]
}
