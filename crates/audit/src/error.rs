//! Why logs cannot be written, and what is wrong with those that are read.

use std::path::PathBuf;

/// Why nothing can be recorded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// The system refuses.
    #[error("audit log {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// Another process writes there.
    #[error("audit log {} is another service's: give each its own audit.path", path.display())]
    Locked {
        /// The file.
        path: PathBuf,
    },
    /// The last line is not what a service wrote, so that nothing can be chained to it.
    #[error(
        "audit log {}: the last line {fault}; look with `sphinx audit verify`, keep the file, and move it away \
         to begin another",
        path.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        fault: Fault,
    },
    /// The writer has ended.
    #[error("the audit log is closed")]
    Closed,
}

/// What is wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not the form of an entry.
    #[error("is no entry of an audit log")]
    NoEntry,
    /// Its hash is another than that of its text.
    #[error("was altered: its hash is not that of its text")]
    Altered,
    /// It does not name the line before it.
    #[error("does not follow the line before it: lines were taken out, put in or moved")]
    Unlinked,
    /// A number was left out, or comes twice.
    #[error("has the number {got}, expected {expected}")]
    Number {
        /// Its number.
        got: u64,
        /// The number after the line before.
        expected: u64,
    },
    /// It has no line break: a crash cut it, or somebody did.
    #[error("is cut; a service that is started takes a line away that a crash has cut")]
    Torn,
}

/// Why a log is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VerifyError {
    /// The system refuses.
    #[error("audit log {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// The first line that is wrong.
    #[error("audit log {}, line {line}: it {fault}", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong.
        fault: Fault,
    },
    /// Nothing was ever written.
    #[error("the audit log is empty")]
    Empty,
    /// A line that was noted is not there.
    #[error("no entry has the hash {hash}: the log was cut before it, or is another one")]
    Headless {
        /// The hash.
        hash: String,
    },
}
