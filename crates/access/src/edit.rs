//! Changing a register on disk: one at a time, whole or not at all.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::error::RegisterError;
use crate::register::Register;

/// Changes the register in a file, which is made if it is not there. Others who do so at the same
/// time wait; readers see the file before or after, and after a crash there is one of the two.
///
/// # Errors
/// What `change` says, in which case nothing is changed; [`RegisterError`] otherwise.
pub fn edit<T, E: From<RegisterError>>(
    path: &Path,
    change: impl FnOnce(&mut Register) -> Result<T, E>,
) -> Result<T, E> {
    let refused =
        |error: io::Error| RegisterError::File { path: path.to_owned(), cause: error.to_string() };
    let lock = File::options().create(true).append(true).open(beside(path)).map_err(refused)?;
    lock.lock().map_err(refused)?;
    let mut register = match fs::exists(path).map_err(refused)? {
        true => Register::load(path)?,
        false => Register::default(),
    };
    let result = change(&mut register)?;
    let text = register.to_text().map_err(|error| refused(io::Error::other(error)))?;
    replace(path, text.as_bytes()).map_err(refused)?;
    Ok(result)
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".lock");
    path.with_file_name(name)
}

/// Readable by its owner only, as temporary files are.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let parent = parent.unwrap_or(Path::new("."));
    let mut file = tempfile::NamedTempFile::new_in(parent)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    File::open(parent)?.sync_all()
}
