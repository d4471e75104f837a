//! Whether material is what it has to be.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use sphinx_bootstrap::{EvaluationKeys, OneShotProfile};
use sphinx_proto::{Fingerprint, TenantId};
use sphinx_runtime::{Compute, ComputeError};
use tokio::sync::Semaphore;

use crate::{
    error::VaultError,
    evaluation::{Parts, part_count},
    material::Announcement,
};

/// Materials checked at once. Each is in memory as a whole, and once more while it is decoded.
const MAX_CHECKS: usize = 2;

/// Bytes looked at for what secret material says of itself.
pub(crate) const PREFIX_BYTES: usize = 4096;

/// How secret material begins, or what it names itself near its start (tfhe writes the type before the content).
const SECRETS: [(&[u8], &str); 3] = [
    (b"sphinx secret key", "a key file of Sphinx"),
    (b"SecretKey", "a secret key of tfhe"),
    (b"ClientKey", "a client key of tfhe"),
];

/// The checks under way.
#[derive(Debug, Clone)]
pub(crate) struct Checks {
    compute: Compute,
    places: Arc<Semaphore>,
}

impl Checks {
    pub(crate) fn new(compute: Compute) -> Self {
        Self { compute, places: Arc::new(Semaphore::new(MAX_CHECKS)) }
    }

    /// Reads all parts and checks hash, form and every dimension; waits while others are being checked.
    pub(crate) async fn run(
        &self,
        parts: &Parts,
        tenant: &TenantId,
        announced: &Announcement,
        sha256: &str,
    ) -> Result<Fingerprint, VaultError> {
        let _place = self.places.acquire().await.map_err(|_| ComputeError::Panicked)?;
        let mut material = BytesMut::new();
        for number in 0..part_count(announced.material_bytes) {
            let part = parts.read(tenant, sha256, number).await?;
            let removed = || VaultError::Removed { key_id: announced.key_id.clone() };
            material.extend_from_slice(&part.ok_or_else(removed)?);
        }
        let (material, announced) = (material.freeze(), announced.clone());
        self.compute.run(move || checked(&material, &announced)).await?
    }
}

fn checked(material: &Bytes, announced: &Announcement) -> Result<Fingerprint, VaultError> {
    let (got, expected) = (material.len() as u64, announced.material_bytes);
    if got != expected {
        return Err(VaultError::CutShort { got, expected });
    }
    let sha256: [u8; 32] = Sha256::digest(material).into();
    if sha256 != announced.sha256 {
        let (got, expected) = (hex::encode(sha256), hex::encode(announced.sha256));
        return Err(VaultError::Hash { got, expected });
    }
    conformance(material)?;
    Ok(Fingerprint::new(announced.parameter_set, announced.kind, material))
}

/// Refuses what says of itself that it is secret.
pub(crate) fn prefix(start: &[u8]) -> Result<(), VaultError> {
    let says = |name: &[u8]| start.windows(name.len()).any(|window| window == name);
    match SECRETS.iter().find(|(name, _)| says(name)) {
        Some(&(_, what)) => Err(VaultError::Secret { what }),
        None => Ok(()),
    }
}

/// Whether the material is evaluation keys, every dimension, level and modulus as the parameter set has it.
fn conformance(material: &[u8]) -> Result<(), VaultError> {
    let keys = EvaluationKeys::from_bytes(material, OneShotProfile::default());
    keys.map(|_| ()).map_err(VaultError::NotEvaluationKeys)
}
