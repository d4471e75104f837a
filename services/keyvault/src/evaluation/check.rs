//! Whether material is what it has to be.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use sphinx_bootstrap::{EvaluationKeys, KeyError, OneShotProfile};
use sphinx_proto::{Fingerprint, TenantId};
use sphinx_runtime::{Compute, ComputeError};
use tokio::sync::Semaphore;

use crate::{
    error::VaultError,
    evaluation::{Parts, part_count},
    material::Announcement,
    secrets,
};

/// Materials checked at once. Each is in memory as a whole, and once more while it is decoded.
const MAX_CHECKS: usize = 2;

/// Bytes looked at for what material says of itself.
const PREFIX_BYTES: usize = 4096;

/// The type that evaluation keys name in their header.
const TYPE_NAME: &[u8] = b"sphinx_bootstrap::EvaluationKeys";

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

/// Refuses a material by its first part, before any of it is stored, unless its header names evaluation keys.
pub(crate) fn first_part(part: &[u8]) -> Result<(), VaultError> {
    secrets::refuse_by_name(part.get(..PREFIX_BYTES).unwrap_or(part))?;
    if type_name(part) == Some(TYPE_NAME) {
        return Ok(());
    }
    // What the header names instead may be anything, a piece of a secret too.
    let reason = format!("no header that names {}", String::from_utf8_lossy(TYPE_NAME));
    Err(VaultError::NotEvaluationKeys(KeyError::Format { reason }))
}

/// The type in a header of tfhe's safe serialisation: the header's version, a number for the mode, the mode's version,
/// the name; texts behind their lengths, numbers little-endian.
fn type_name(part: &[u8]) -> Option<&[u8]> {
    let (_version, rest) = text(part)?;
    let (_mode, rest) = rest.split_first_chunk::<4>()?;
    let (_version, rest) = text(rest)?;
    text(rest).map(|(name, _)| name)
}

fn text(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<8>()?;
    rest.split_at_checked(usize::try_from(u64::from_le_bytes(*length)).ok()?)
}

/// Whether the material is evaluation keys, every dimension, level and modulus as the parameter set has it.
fn conformance(material: &[u8]) -> Result<(), VaultError> {
    let keys = EvaluationKeys::from_bytes(material, OneShotProfile::default());
    keys.map(|_| ()).map_err(VaultError::NotEvaluationKeys)
}
