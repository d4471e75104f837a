//! Key material on its way in: announced, collected, checked.

use bytes::{Bytes, BytesMut};
use sha2::{Digest, Sha256};
use sphinx_proto::conversion::{key_kind, parameter_set};
use sphinx_proto::v1::{KeyHeader, KeyKind, ParameterSet};
use sphinx_proto::{ConversionError, Fingerprint, KeyId};

use crate::config::VaultLimits;
use crate::error::VaultError;
use crate::secrets;

/// An identity is what HKDF-SHA-256 gives.
const IDENTITY_BYTES: u64 = 32;

/// A header that fits the limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Announcement {
    pub(crate) key_id: KeyId,
    pub(crate) parameter_set: ParameterSet,
    pub(crate) kind: KeyKind,
    pub(crate) material_bytes: u64,
    pub(crate) sha256: [u8; 32],
    pub(crate) description: String,
    pub(crate) offset: u64,
}

/// A key whose material is what was announced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckedKey {
    pub(crate) key_id: KeyId,
    pub(crate) parameter_set: ParameterSet,
    pub(crate) kind: KeyKind,
    pub(crate) description: String,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) material: Bytes,
}

/// An identity being collected. Its memory grows with what arrives, not with what was
/// promised.
#[derive(Debug)]
pub(crate) struct Upload {
    announced: Announcement,
    max_chunk_bytes: u32,
    material: BytesMut,
}

impl Announcement {
    pub(crate) fn parse(header: KeyHeader, limits: &VaultLimits) -> Result<Self, VaultError> {
        let parameter_set = parameter_set(header.parameter_set)?;
        let kind = key_kind(header.kind)?;
        let material_bytes = header.material_bytes;
        check_size(parameter_set, kind, material_bytes)?;
        if kind == KeyKind::Identity && header.offset != 0 {
            return Err(VaultError::OffsetOfIdentity { got: header.offset });
        }
        if material_bytes > limits.max_material_bytes {
            let (got, limit) = (material_bytes, limits.max_material_bytes);
            return Err(VaultError::MaterialLimit { got, limit });
        }
        let (got, limit) = (header.description.len(), limits.max_description_bytes);
        if got > limit as usize {
            return Err(VaultError::Description { got, limit });
        }
        let length = header.material_sha256.len();
        let sha256 = header.material_sha256.as_ref().try_into();
        Ok(Self {
            key_id: KeyId::parse(header.key_id)?,
            parameter_set,
            kind,
            material_bytes,
            sha256: sha256.map_err(|_| ConversionError::Length {
                field: "material_sha256",
                got: length,
                expected: 32,
            })?,
            description: header.description,
            offset: header.offset,
        })
    }
}

impl Upload {
    pub(crate) fn new(announced: Announcement, limits: &VaultLimits) -> Self {
        let max_chunk_bytes = limits.max_chunk_bytes;
        Self { announced, max_chunk_bytes, material: BytesMut::new() }
    }

    /// Bytes received so far.
    pub(crate) fn received(&self) -> u64 {
        self.material.len() as u64
    }

    pub(crate) fn push(&mut self, chunk: &[u8]) -> Result<(), VaultError> {
        if chunk.len() > self.max_chunk_bytes as usize {
            return Err(VaultError::Chunk { got: chunk.len(), limit: self.max_chunk_bytes });
        }
        let got = self.received() + chunk.len() as u64;
        if got > self.announced.material_bytes {
            return Err(VaultError::TooLong { got, expected: self.announced.material_bytes });
        }
        self.material.extend_from_slice(chunk);
        Ok(())
    }

    /// Checks length, hash and that nothing secret is taken for public, at the end of the stream.
    pub(crate) fn finish(self) -> Result<CheckedKey, VaultError> {
        let (got, announced) = (self.received(), self.announced);
        if got != announced.material_bytes {
            return Err(VaultError::CutShort { got, expected: announced.material_bytes });
        }
        let sha256: [u8; 32] = Sha256::digest(&self.material).into();
        if sha256 != announced.sha256 {
            let (got, expected) = (hex::encode(sha256), hex::encode(announced.sha256));
            return Err(VaultError::Hash { got, expected });
        }
        secrets::refuse_by_name(&self.material)?;
        secrets::refuse_by_looks(&self.material)?;
        let (parameter_set, kind) = (announced.parameter_set, announced.kind);
        Ok(CheckedKey {
            key_id: announced.key_id,
            parameter_set,
            kind,
            description: announced.description,
            fingerprint: Fingerprint::new(parameter_set, kind, &self.material),
            material: self.material.freeze(),
        })
    }
}

/// Whether a kind's material under a parameter set can have this length.
fn check_size(set: ParameterSet, kind: KeyKind, got: u64) -> Result<(), VaultError> {
    match (set, kind) {
        (ParameterSet::Glwe2048V1, KeyKind::Identity) => {
            let expected = IDENTITY_BYTES;
            if got == expected { Ok(()) } else { Err(VaultError::MaterialSize { got, expected }) }
        }
        (ParameterSet::Glwe2048V1, KeyKind::Evaluation) => {
            let limit = sphinx_evaluation_keys::MAX_KEY_BYTES as u64;
            if (1..=limit).contains(&got) {
                Ok(())
            } else {
                Err(VaultError::MaterialLimit { got, limit })
            }
        }
        (ParameterSet::Unspecified, _) | (_, KeyKind::Unspecified) => {
            let expected = "a parameter set and a kind that are specified";
            Err(ConversionError::Missing { field: "kind", expected }.into())
        }
    }
}
