//! The highest version of every model that a home has seen: a server that goes back to an older
//! copy is refused.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use sphinx_proto::ModelId;

use crate::error::{ClientError, MemoryError, StateError};
use crate::suspects::{private_directory, sync_directory};

/// What a home has seen of a tenant's models, a file each.
///
/// A file is only ever appended to, a line per life of the model and version: several processes may
/// write at once, and one that is killed spoils its own line alone.
#[derive(Debug, Clone)]
pub struct SeenVersions(PathBuf);

/// Ends a line, so that none that was cut counts.
const END: &str = " .";

impl SeenVersions {
    /// The record in a directory, which need not exist yet.
    pub fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// The highest version seen of this life of a model.
    ///
    /// # Errors
    /// [`MemoryError::File`].
    pub fn highest(&self, model: &ModelId, incarnation: &[u8]) -> Result<Option<u64>, MemoryError> {
        let path = self.path(model);
        match fs::read(&path) {
            Ok(bytes) => Ok(highest(&String::from_utf8_lossy(&bytes), &hex(incarnation))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(MemoryError::File { path, source }),
        }
    }

    /// Takes note, durably, of the newest version that a server has; refuses one that is older than
    /// what was seen before.
    ///
    /// # Errors
    /// [`StateError::OlderVersion`] with both versions; [`MemoryError::File`].
    pub fn see(&self, model: &ModelId, incarnation: &[u8], newest: u64) -> Result<(), ClientError> {
        match self.highest(model, incarnation)? {
            Some(seen) if seen > newest => {
                let model = model.to_string();
                Err(StateError::OlderVersion { model, got: newest, seen }.into())
            }
            Some(seen) if seen == newest => Ok(()),
            Some(_) | None => {
                let path = self.path(model);
                // A line that was cut before ends here, without its end.
                let line = format!("\n{} {newest}{END}\n", hex(incarnation));
                let added = append(&self.0, &path, &line);
                Ok(added.map_err(|source| MemoryError::File { path, source })?)
            }
        }
    }

    fn path(&self, model: &ModelId) -> PathBuf {
        self.0.join(model.as_str())
    }
}

fn append(directory: &Path, path: &Path, line: &str) -> io::Result<()> {
    private_directory(directory)?;
    let mut options = OpenOptions::new();
    options.create(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(line.as_bytes())?;
    file.sync_all()?;
    sync_directory(directory)
}

/// The highest version of a life in whole lines.
fn highest(lines: &str, incarnation: &str) -> Option<u64> {
    let whole = lines.lines().filter_map(|line| line.strip_suffix(END));
    let versions = whole.filter_map(|line| {
        let (of, version) = line.split_once(' ')?;
        (of == incarnation).then(|| version.parse().ok())?
    });
    versions.max()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(result: Result<(), ClientError>) -> (u64, u64) {
        let error = result.unwrap_err();
        let ClientError::State(StateError::OlderVersion { got, seen, .. }) = error else {
            panic!("{error}")
        };
        (got, seen)
    }

    #[test]
    fn rejects_older_versions_of_the_same_life_and_no_others() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("seen/default");
        let (one, two) = (SeenVersions::new(directory.clone()), SeenVersions::new(directory));
        let model = ModelId::parse("digits").unwrap();
        for newest in [3, 3, 17] {
            one.see(&model, &[1; 16], newest).unwrap();
        }
        assert_eq!(refusal(two.see(&model, &[1; 16], 16)), (16, 17));
        two.see(&model, &[2; 16], 0).unwrap();
        // The other life changes nothing for the first.
        assert_eq!(refusal(one.see(&model, &[1; 16], 0)), (0, 17));
        assert_eq!(one.highest(&model, &[2; 16]).unwrap(), Some(0));
        one.see(&ModelId::parse("other").unwrap(), &[1; 16], 1).unwrap();
        let text = refusal_text(&one, &model);
        assert!(text.contains("16") && text.contains("17"), "{text}");
    }

    fn refusal_text(seen: &SeenVersions, model: &ModelId) -> String {
        seen.see(model, &[1; 16], 16).unwrap_err().to_string()
    }

    #[test]
    fn a_line_that_was_cut_counts_for_nothing_and_spoils_no_other() {
        let home = tempfile::tempdir().unwrap();
        let (seen, model) =
            (SeenVersions::new(home.path().to_owned()), ModelId::parse("digits").unwrap());
        seen.see(&model, &[1; 16], 5).unwrap();
        let path = home.path().join("digits");
        let mut lines = fs::read_to_string(&path).unwrap();
        lines.push_str(&format!("\n{} 99", hex(&[1; 16])));
        fs::write(&path, lines).unwrap();
        assert_eq!(seen.highest(&model, &[1; 16]).unwrap(), Some(5));
        seen.see(&model, &[1; 16], 6).unwrap();
        assert_eq!(seen.highest(&model, &[1; 16]).unwrap(), Some(6));
    }
}
