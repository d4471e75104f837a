//! `keys/<id>.eval`: the evaluation keys of a secret key. Public, but large and made at random:
//! kept so that registering them again is recognised.

use std::fs;
use std::io;
use std::path::PathBuf;

use rand::CryptoRng;
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_proto::{Fingerprint, KeyId};
use sphinx_secret::SecretKey;

use super::{file_error, write_new};
use crate::error::ClientError;
use crate::evaluation_keys::evaluation_fingerprint;
use crate::workspace::{Home, WorkspaceError};

impl Home {
    /// Where a key's evaluation keys are.
    pub fn evaluation_path(&self, id: &KeyId) -> PathBuf {
        self.keys().join(format!("{id}.eval"))
    }

    /// The evaluation keys, if they were made.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn evaluation_keys(&self, id: &KeyId) -> Result<Option<Vec<u8>>, WorkspaceError> {
        let path = self.evaluation_path(id);
        match fs::read(&path) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(file_error(&path, source)),
        }
    }

    /// Makes evaluation keys of a profile and stores them; never over others.
    ///
    /// # Errors
    /// [`WorkspaceError::File`] if there are some, or they cannot be written.
    pub fn make_evaluation_keys(
        &self,
        id: &KeyId,
        (key, profile): (&SecretKey, OneShotProfile),
        rng: &mut impl CryptoRng,
    ) -> Result<Vec<u8>, WorkspaceError> {
        let keys = key.evaluation_keys(profile, rng);
        let bytes = keys.and_then(|keys| keys.to_bytes()).map_err(ClientError::from)?;
        let path = self.evaluation_path(id);
        write_new(&path, &bytes).map_err(|source| file_error(&path, source))?;
        Ok(bytes)
    }

    /// Fingerprint of the evaluation keys, if they were made.
    ///
    /// # Errors
    /// [`WorkspaceError::File`].
    pub fn evaluation_fingerprint(
        &self,
        id: &KeyId,
    ) -> Result<Option<Fingerprint>, WorkspaceError> {
        Ok(self.evaluation_keys(id)?.map(|bytes| evaluation_fingerprint(&bytes)))
    }
}
