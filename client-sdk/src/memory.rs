//! What a machine remembers of the services that it has used.

use sphinx_proto::{KeyId, ModelId};

use crate::error::{ClientError, MemoryError};
use crate::suspects::{Suspect, Suspects};
use crate::versions::SeenVersions;

/// Marks of suspect models, and the highest versions seen. Without a home nothing is remembered
/// beyond the life of a program.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    kept: Option<(Suspects, SeenVersions)>,
}

impl Memory {
    /// A memory on the disk.
    pub fn new(suspects: Suspects, versions: SeenVersions) -> Self {
        Self { kept: Some((suspects, versions)) }
    }

    /// Refuses a model that is marked as suspect.
    ///
    /// # Errors
    /// As [`Suspects::admit`].
    pub fn admit(&self, model: &ModelId) -> Result<(), MemoryError> {
        self.kept.as_ref().map_or(Ok(()), |(suspects, _)| suspects.admit(model))
    }

    /// Refuses a key under which a model is marked as suspect.
    ///
    /// # Errors
    /// As [`Suspects::admit_key`].
    pub fn admit_key(&self, key: &KeyId) -> Result<(), MemoryError> {
        self.kept.as_ref().map_or(Ok(()), |(suspects, _)| suspects.admit_key(key))
    }

    /// As [`SeenVersions::see`].
    ///
    /// # Errors
    /// As [`SeenVersions::see`].
    pub fn see(&self, model: &ModelId, incarnation: &[u8], newest: u64) -> Result<(), ClientError> {
        let versions = self.kept.as_ref().map(|(_, versions)| versions);
        versions.map_or(Ok(()), |versions| versions.see(model, incarnation, newest))
    }

    /// As [`Suspects::mark`].
    ///
    /// # Errors
    /// As [`Suspects::mark`].
    pub fn mark(&self, suspect: &Suspect) -> Result<(), MemoryError> {
        self.kept.as_ref().map_or(Ok(()), |(suspects, _)| suspects.mark(suspect))
    }
}
