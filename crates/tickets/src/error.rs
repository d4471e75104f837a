//! Why a store of tickets refuses.

use std::io;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why a store of tickets refuses. No ticket is handed out then; at worst some are lost.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TicketStoreError {
    /// There are not enough tickets. None was taken.
    #[error("{needed} tickets needed, {left} in the store: prepare more")]
    Exhausted {
        /// Tickets asked for.
        needed: usize,
        /// Unused tickets of that model version.
        left: usize,
    },
    /// A block has 1 to 2048 tickets.
    #[error("{got} tickets for one block, expected 1 to {limit}")]
    Count {
        /// Tickets given.
        got: usize,
        /// Most tickets of a block.
        limit: usize,
    },
    /// Tickets have other shapes than the model version they are said to be of.
    #[error("ticket {index} has answers of {got:?} words, the model version has {expected:?}")]
    Shape {
        /// Which of those given.
        index: usize,
        /// Words per stage.
        got: Vec<usize>,
        /// Words per stage of the model version.
        expected: Vec<usize>,
    },
    /// A model version that cannot be.
    #[error("a stage modulo 2^{got}, expected 2^1 to 2^32")]
    Modulus {
        /// Bits of the modulus.
        got: u32,
    },
    /// A block is of another owner, under another key, or a copied file. It is left alone and never
    /// used.
    #[error("{}: tickets of {field} {got}, expected {expected}", path.display())]
    Foreign {
        /// The block's file.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// In the file.
        got: String,
        /// Of the store.
        expected: String,
    },
    /// A block is not as it was written. The store puts it aside and goes on without it.
    #[error("{} is damaged ({cause}): its tickets are not used", path.display())]
    Damaged {
        /// The block's file.
        path: PathBuf,
        /// What does not fit.
        cause: String,
    },
    /// The process was forked since it opened the store, and its copy must not take the same
    /// tickets.
    #[error("process {got} has the store that process {expected} opened: open it after the fork")]
    Forked {
        /// This process.
        got: u32,
        /// The one that opened the store.
        expected: u32,
    },
    /// Another process kept a block locked for too long.
    #[error("{} is locked by another process: try again", path.display())]
    Busy {
        /// The block's file.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("no space left for {}: free some, or remove tickets with `sphinx tickets clear`", path.display())]
    DiskFull {
        /// The file to be written.
        path: PathBuf,
    },
    /// The file is gone, for instance by `sphinx tickets clear`.
    #[error("{} is gone", path.display())]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The file system refused.
    #[error("{} cannot be read or written: {cause}", path.display())]
    Storage {
        /// The file.
        path: PathBuf,
        /// The failure below.
        cause: String,
    },
}

impl TicketStoreError {
    pub(crate) fn damaged(path: &Path, cause: impl ToString) -> Self {
        Self::Damaged { path: path.to_owned(), cause: cause.to_string() }
    }

    pub(crate) fn io(path: &Path, error: &io::Error) -> Self {
        let path = path.to_owned();
        // Written as comparisons: the kinds that matter here are two of dozens.
        if error.kind() == io::ErrorKind::NotFound {
            Self::Gone { path }
        } else if error.kind() == io::ErrorKind::StorageFull {
            Self::DiskFull { path }
        } else {
            Self::Storage { path, cause: error.to_string() }
        }
    }

    /// What the database says, with the cases told apart that need different answers.
    pub(crate) fn sqlite(path: &Path, error: &rusqlite::Error) -> Self {
        let owned = path.to_owned();
        let code = error.sqlite_error_code();
        if code == Some(ErrorCode::DatabaseCorrupt) || code == Some(ErrorCode::NotADatabase) {
            return Self::damaged(path, error);
        }
        if code == Some(ErrorCode::DatabaseBusy) || code == Some(ErrorCode::DatabaseLocked) {
            return Self::Busy { path: owned };
        }
        if code == Some(ErrorCode::DiskFull) {
            return Self::DiskFull { path: owned };
        }
        if code == Some(ErrorCode::CannotOpen) && !path.exists() {
            return Self::Gone { path: owned };
        }
        // Deleted or set aside by another handle since it was opened: SQLite refuses to write to
        // what no name leads to.
        let extended = error.sqlite_error().map(|error| error.extended_code);
        if extended == Some(rusqlite::ffi::SQLITE_READONLY_DBMOVED) {
            return Self::Gone { path: owned };
        }
        if code.is_none() {
            // A row that is missing, or of another type than was written.
            return Self::damaged(path, error);
        }
        Self::Storage { path: owned, cause: error.to_string() }
    }
}
