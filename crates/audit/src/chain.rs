//! The file that is written to, and where its chain is.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::entry::{Event, Link, What};
use crate::error::AuditError;
use crate::file::{End, end, rotated};

/// A log that lines are added to.
#[derive(Debug)]
pub(crate) struct Chain {
    path: PathBuf,
    service: String,
    /// Whether a line counts when it is on the disk, or when the system has it.
    sync: bool,
    file: File,
    at: Link,
    /// Bytes of the file up to which it is whole, if something behind them has to go first.
    cut: Option<u64>,
}

impl Chain {
    /// Opens a log, which is made if it is not there, and goes on with its chain.
    pub(crate) fn open(service: &str, path: &Path, sync: bool) -> Result<Self, AuditError> {
        let refused = |error: io::Error| refused(path, &error);
        let mut file = open(path)?;
        let End { last, torn, whole } = end(&mut file).map_err(refused)?;
        let at = match last {
            None => rotated(path),
            Some(Ok(entry)) => entry.link(),
            Some(Err(fault)) => {
                return Err(AuditError::Damaged { path: path.to_owned(), fault });
            }
        };
        let (path, service) = (path.to_owned(), service.to_owned());
        let mut chain = Self { path, service, sync, file, at, cut: None };
        let mut events = vec![chain.own(What::Opened, String::new())];
        if torn > 0 {
            chain.cut = Some(whole);
            let outcome = format!("{torn} bytes of a line that was not finished were removed");
            events.insert(0, chain.own(What::Repaired, outcome));
        }
        chain.append(events)?;
        tracing::info!(
            path = %chain.path.display(), lines = chain.at.next, head = chain.at.hash, "audit log opened"
        );
        Ok(chain)
    }

    /// Adds lines, all of them or none.
    pub(crate) fn append(&mut self, events: Vec<Event>) -> Result<(), AuditError> {
        if self.is_moved() {
            self.file = open(&self.path)?;
            let End { last, torn, .. } =
                end(&mut self.file).map_err(|error| refused(&self.path, &error))?;
            // Whoever rotates puts an empty file there, or none; or the old one back.
            let goes_on = last.is_none_or(|last| last.is_ok_and(|entry| entry.link() == self.at));
            if !goes_on || torn > 0 {
                return Err(refused(&self.path, &io::Error::other("it is another log now")));
            }
            self.cut = None;
        }
        self.write(events).map_err(|error| refused(&self.path, &error))
    }

    fn write(&mut self, events: Vec<Event>) -> io::Result<()> {
        let regular = self.file.metadata()?.is_file();
        if let Some(whole) = self.cut.filter(|_| regular) {
            self.file.set_len(whole)?;
            self.cut = None;
        }
        let before = self.file.metadata()?.len();
        let mut at = self.at.clone();
        let mut lines = String::new();
        for event in events {
            let (line, next) = event.line(&at)?;
            lines.push_str(&line);
            at = next;
        }
        let mut written = self.file.write_all(lines.as_bytes());
        if regular && self.sync {
            written = written.and_then(|()| self.file.sync_data());
        }
        match written {
            Ok(()) => self.at = at,
            // Part of it may be there; what is whole ends where it did.
            Err(_) => self.cut = Some(before),
        }
        written
    }

    /// Whether somebody has moved the file away, as those who rotate logs do.
    fn is_moved(&self) -> bool {
        match (fs::metadata(&self.path), self.file.metadata()) {
            (Ok(there), Ok(own)) => number(&there) != number(&own),
            (Err(_), _) | (_, Err(_)) => true,
        }
    }

    fn own(&self, what: What, outcome: String) -> Event {
        Event {
            what,
            service: self.service.clone(),
            request: String::new(),
            rpc: String::new(),
            tenant: String::new(),
            credential: String::new(),
            object: String::new(),
            outcome,
        }
    }
}

/// Opens a file for this process alone, readable by its owner only.
fn open(path: &Path) -> Result<File, AuditError> {
    let mut options = File::options();
    options.create(true).read(true).append(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path).map_err(|error| refused(path, &error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(AuditError::Locked { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(refused(path, &error)),
    }
}

fn refused(path: &Path, error: &io::Error) -> AuditError {
    AuditError::File { path: path.to_owned(), cause: error.to_string() }
}

/// What tells a file from another one of the same name.
#[cfg(unix)]
fn number(metadata: &fs::Metadata) -> (u64, u64) {
    use std::os::unix::fs::MetadataExt;
    (metadata.dev(), metadata.ino())
}

/// Elsewhere open files cannot be moved.
#[cfg(not(unix))]
fn number(_: &fs::Metadata) -> (u64, u64) {
    (0, 0)
}
