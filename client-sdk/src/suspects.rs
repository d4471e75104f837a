//! Models whose server answered a product wrongly: marked on the disk, until somebody clears the
//! mark deliberately.
//!
//! A wrong product is the one sign of a cheating service that cannot be an accident of the line, so
//! the first one is final: no process of this home sends anything for the model again.

pub(crate) mod mark;

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sphinx_proto::{KeyId, ModelId};

pub use mark::Suspect;

use crate::error::MemoryError;

const EXTENSION: &str = "json";

/// The marks of a tenant's models, a file each.
#[derive(Debug, Clone)]
pub struct Suspects(PathBuf);

impl Suspects {
    /// The marks in a directory, which need not exist yet.
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// Marks a model, durably. A mark that is there stays: the first wrong product is the one that
    /// counts.
    ///
    /// # Errors
    /// [`MemoryError::File`].
    pub fn mark(&self, suspect: &Suspect) -> Result<(), MemoryError> {
        let path = self.0.join(format!("{}.{EXTENSION}", suspect.model));
        let write = || {
            private_directory(&self.0)?;
            let mut file = tempfile::NamedTempFile::new_in(&self.0)?;
            serde_json::to_writer_pretty(&mut file, suspect)?;
            file.write_all(b"\n")?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(&path) {
                Err(error) if error.error.kind() != io::ErrorKind::AlreadyExists => {
                    return Err(error.error);
                }
                Ok(_) | Err(_) => {}
            }
            sync_directory(&self.0)
        };
        write().map_err(|source| MemoryError::File { path: path.clone(), source })
    }

    /// The mark of a model, if there is one.
    ///
    /// # Errors
    /// [`MemoryError::Damaged`] for a mark that cannot be read, [`MemoryError::File`].
    pub fn find(&self, model: &ModelId) -> Result<Option<Suspect>, MemoryError> {
        read(&self.path(model))
    }

    /// Refuses a model that is marked.
    ///
    /// # Errors
    /// [`MemoryError::Suspect`]; as [`Suspects::find`].
    pub fn admit(&self, model: &ModelId) -> Result<(), MemoryError> {
        self.find(model)?.map_or(Ok(()), |suspect| Err(MemoryError::Suspect(Box::new(suspect))))
    }

    /// Refuses a key under which a model is marked: whoever lied about one is not asked about
    /// others.
    ///
    /// # Errors
    /// [`MemoryError::SuspectKey`]; as [`Suspects::list`].
    pub fn admit_key(&self, key: &KeyId) -> Result<(), MemoryError> {
        let suspect = self.list()?.into_iter().find(|suspect| suspect.key_id == key.as_str());
        suspect.map_or(Ok(()), |suspect| Err(MemoryError::SuspectKey(Box::new(suspect))))
    }

    /// All marks, by model.
    ///
    /// # Errors
    /// As [`Suspects::find`].
    pub fn list(&self) -> Result<Vec<Suspect>, MemoryError> {
        let failed = |source| MemoryError::File { path: self.0.clone(), source };
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut paths = Vec::new();
        for entry in entries {
            let path = entry.map_err(failed)?.path();
            paths.extend(path.extension().is_some_and(|found| found == EXTENSION).then_some(path));
        }
        paths.sort();
        paths.iter().filter_map(|path| read(path).transpose()).collect()
    }

    /// Removes the mark of a model, damaged or not, durably. Whether there was one.
    ///
    /// # Errors
    /// [`MemoryError::File`].
    pub fn clear(&self, model: &ModelId) -> Result<bool, MemoryError> {
        let path = self.path(model);
        let removed = match fs::remove_file(&path) {
            Ok(()) => sync_directory(&self.0).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        };
        removed.map_err(|source| MemoryError::File { path, source })
    }

    fn path(&self, model: &ModelId) -> PathBuf {
        self.0.join(format!("{model}.{EXTENSION}"))
    }
}

fn read(path: &Path) -> Result<Option<Suspect>, MemoryError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(MemoryError::File { path: path.to_owned(), source }),
    };
    let damaged = |error: serde_json::Error| MemoryError::Damaged {
        path: path.to_owned(),
        cause: error.to_string(),
    };
    serde_json::from_slice(&bytes).map(Some).map_err(damaged)
}

/// Makes a directory for its owner alone.
pub(crate) fn private_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// Makes what was created or removed in a directory last.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(path)?.sync_all() } else { Ok(()) }
}

#[cfg(test)]
mod tests;
