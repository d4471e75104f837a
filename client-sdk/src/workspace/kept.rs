//! Small JSON files of models, kept at home.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use serde::de::DeserializeOwned;

use crate::workspace::WorkspaceError;
use crate::workspace::home::{file_error, private_directory};

/// Writes a file in the place of another, whole or not at all.
pub(super) fn keep(path: &Path, bytes: &[u8]) -> Result<(), WorkspaceError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    private_directory(directory)?;
    let failed = |error| file_error(path, error);
    let mut file = tempfile::NamedTempFile::new_in(directory).map_err(failed)?;
    file.write_all(bytes).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist(path).map_err(|error| file_error(path, error.error))?;
    Ok(())
}

/// What a file says, if it is there.
pub(super) fn kept<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, WorkspaceError> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(file_error(path, source)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| file_error(path, error.into()))
}

/// Removes a file if it is there.
pub(super) fn forget(path: &Path) -> Result<(), WorkspaceError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(file_error(path, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}
