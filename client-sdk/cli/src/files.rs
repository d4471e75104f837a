//! Files that commands read and write.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use sphinx_client::workspace::write_new;

use crate::error::CliError;

/// Writes a file that must not be there yet, whole or not at all.
pub fn create(path: &Path, bytes: &[u8]) -> Result<(), CliError> {
    write_new(path, bytes).map_err(|source| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::AlreadyExists {
            CliError::OutputExists { path }
        } else {
            CliError::File { path, source }
        }
    })
}

/// Reads a file of at most `limit` bytes.
pub fn read(path: &Path, limit: u64) -> Result<Bytes, CliError> {
    let file = |source| CliError::File { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    let opened = File::open(path).map_err(file)?;
    opened.take(limit + 1).read_to_end(&mut bytes).map_err(file)?;
    if bytes.len() as u64 > limit {
        let (path, megabytes) = (sphinx_client::data::shown(path), limit >> 20);
        let text = format!("{path} has more than {megabytes} MB: it is no such file");
        return Err(CliError::Usage(text));
    }
    Ok(bytes.into())
}
