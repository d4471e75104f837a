//! Whether a store does what the house relies on, asked once at the start of a service.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{Error as Backend, ObjectStore, PutMode, PutOptions, PutPayload, PutResult};

use crate::location::Remote;
use crate::words::words;
use crate::{ObjectError, Objects};

/// The folder of objects that are written for the check and removed again.
const FOLDER: &str = "probe";

impl Objects {
    /// Asks a store behind the network whether it can be read. A directory was looked at when it
    /// was opened.
    ///
    /// # Errors
    /// [`ObjectError::NoBucket`], [`ObjectError::Credentials`], [`ObjectError::Unreachable`].
    pub async fn check_reads(&self) -> Result<(), ObjectError> {
        let Some(remote) = self.remote() else { return Ok(()) };
        let listed = self.backend().list_with_delimiter(Some(&Path::from(FOLDER))).await;
        listed.map(|_| ()).map_err(|error| remote.failed(&error))
    }

    /// Asks a store behind the network whether it can be written, and whether it refuses to create
    /// an object where one is: commits rely on that.
    ///
    /// # Errors
    /// As [`Objects::check_reads`], and [`ObjectError::NoConditionalWrites`].
    pub async fn check_writes(&self) -> Result<(), ObjectError> {
        self.check_reads().await?;
        let Some(remote) = self.remote() else { return Ok(()) };
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{}-{}", std::process::id(), since.as_nanos());
        let path = Path::from_iter([FOLDER, name.as_str()]);
        let first = create(self.backend(), &path).await;
        first.map_err(|error| remote.failed(&error))?;
        let second = create(self.backend(), &path).await;
        self.delete(&path).await?;
        let cause = match second {
            Err(Backend::AlreadyExists { .. }) => return Ok(()),
            Ok(_) => "it created one object twice".to_owned(),
            Err(error) => words(&error),
        };
        Err(ObjectError::NoConditionalWrites { location: remote.location.clone(), cause })
    }
}

async fn create(backend: &dyn ObjectStore, path: &Path) -> Result<PutResult, Backend> {
    let payload = PutPayload::from_bytes(Bytes::from_static(b"whether conditional writes work"));
    backend.put_opts(path, payload, PutOptions::from(PutMode::Create)).await
}

impl Remote {
    #[allow(clippy::wildcard_enum_match_arm, reason = "the enumeration is open")]
    fn failed(&self, error: &Backend) -> ObjectError {
        let (location, cause) = (self.location.clone(), words(error));
        // Of a listing the backend's error has no kind, and the status is in its words alone.
        let status = |code: &str| cause.contains(&format!("status code: {code} "));
        match error {
            Backend::NotImplemented { .. } | Backend::NotSupported { .. } => {
                ObjectError::NoConditionalWrites { location, cause }
            }
            Backend::NotFound { .. } => ObjectError::NoBucket { location, cause },
            Backend::PermissionDenied { .. } | Backend::Unauthenticated { .. } => {
                ObjectError::Credentials { location, cause, advice: self.advice }
            }
            _ if status("404") => ObjectError::NoBucket { location, cause },
            _ if status("401") || status("403") => {
                ObjectError::Credentials { location, cause, advice: self.advice }
            }
            _ => ObjectError::Unreachable { location, cause },
        }
    }
}
