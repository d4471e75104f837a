//! Whether material is what it has to be.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use sphinx_evaluation_keys::EvaluationKeys;
use sphinx_proto::{Fingerprint, TenantId};
use sphinx_runtime::{Compute, ComputeError};
use tokio::sync::Semaphore;

use crate::error::VaultError;
use crate::evaluation::{Parts, part_count};
use crate::material::Announcement;
use crate::secrets;

/// Materials checked at once. Each is in memory as a whole, and once more while it is decoded.
const MAX_CHECKS: usize = 2;

/// Bytes looked at for what material says of itself.
const PREFIX_BYTES: usize = 4096;

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

    /// Reads all parts and checks hash, form and every dimension; waits while others are being
    /// checked.
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

/// Refuses a material by its first part, before any of it is stored, unless its header names
/// evaluation keys.
pub(crate) fn first_part(part: &[u8]) -> Result<(), VaultError> {
    secrets::refuse_by_name(part.get(..PREFIX_BYTES).unwrap_or(part))?;
    EvaluationKeys::check_header(part).map_err(VaultError::NotEvaluationKeys)
}

/// Whether the material is evaluation keys, every dimension, level and modulus as the parameter set
/// has it.
fn conformance(material: &[u8]) -> Result<(), VaultError> {
    let keys = EvaluationKeys::from_bytes(material);
    keys.map(|_| ()).map_err(VaultError::NotEvaluationKeys)
}
