//! What a home remembers of a server, and refuses.

use std::io;
use std::path::PathBuf;

use crate::suspects::mark::Suspect;

/// Why what this machine remembers of a model forbids to use it, or cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MemoryError {
    /// A service answered a product of the model wrongly.
    #[error(
        "model {} is suspect since {}: {}; nothing is sent for it until somebody clears the mark deliberately",
        .0.model, .0.unix_seconds, .0.reason()
    )]
    Suspect(Box<Suspect>),
    /// A service answered a product of another model under the same key wrongly.
    #[error(
        "key {} is suspect because of model {} since {}: {}; nothing is sent under it until somebody clears the mark of \
         that model deliberately",
        .0.key_id, .0.model, .0.unix_seconds, .0.reason()
    )]
    SuspectKey(Box<Suspect>),
    /// A mark or a record that is there and cannot be read.
    #[error("{} is damaged ({cause}): what it says is taken for the worst until it is removed", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// A file cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}
