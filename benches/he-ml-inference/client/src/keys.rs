//! Secret keys in `io/`, where the harness wants them, readable by their owner alone.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rand::{CryptoRng, Rng};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_he_common::{Instance, Outcome, SubmissionError};
use sphinx_linalg::SLOTS;
use sphinx_secret::SecretKey;

/// Coefficients of the secret key, or of one key per block: a byte each.
const SECRET: &str = "secret_key/key.bin";

/// Fresh keys: one per block, or one with keys that pack.
pub fn generate(instance: Instance, blocks: Option<usize>) -> Outcome<()> {
    let mut rng = rand::rng();
    let mut coefficients = vec![0u8; blocks.unwrap_or(1) * SLOTS];
    rng.fill_bytes(&mut coefficients);
    coefficients.iter_mut().for_each(|bit| *bit &= 1);
    secret(instance, SECRET, &coefficients)?;
    if blocks.is_some() {
        // Nothing is public but the form of ciphertexts.
        return instance.write("public_keys/none", &[]);
    }
    let key = SecretKey::from_coefficients(&coefficients).map_err(SubmissionError::library)?;
    let public = packing(&key, &mut rng)?;
    instance.write("public_keys/packing.eval", &public)
}

fn packing(key: &SecretKey, rng: &mut impl CryptoRng) -> Outcome<Vec<u8>> {
    let keys = key.evaluation_keys(OneShotProfile::Packing, rng);
    keys.and_then(|keys| keys.to_bytes()).map_err(SubmissionError::library)
}

/// The coefficients of so many keys.
pub fn coefficients(instance: Instance, keys: usize) -> Outcome<Vec<u8>> {
    instance.read(SECRET, keys * SLOTS)
}

/// Writes what nobody else may read.
pub fn secret(instance: Instance, file: &str, bytes: &[u8]) -> Outcome<()> {
    instance.write(file, &[])?;
    let path = instance.io(file);
    let private = fs::set_permissions(&path, fs::Permissions::from_mode(0o600));
    private.map_err(|source| SubmissionError::File { path, source })?;
    instance.write(file, bytes)
}
