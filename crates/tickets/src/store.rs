//! The directory of blocks.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use parking::lock;

use crate::access::{Access, Kind, damaged_path, journal_path};
use crate::block::Block;
use crate::draft::Draft;
use crate::edition::{Edition, Owner};
use crate::error::TicketStoreError;
use crate::holder::{Holder, HolderId, is_abandoned};
use crate::seal::{Sealer, StoreKey, fresh_rng};
use crate::ticket::{Place, TicketParts};

/// The tickets of one tenant, model and key, shared by all processes that open the directory. See
/// the crate's documentation for what it guarantees.
///
/// Every method blocks, for some milliseconds as a rule; asynchronous code calls them on a thread
/// that may. What is damaged is put aside (renamed to `.damaged`, with a warning in the log), and
/// the method goes on with the rest.
pub struct TicketStore {
    pub(crate) access: Access,
    pub(crate) inner: std::sync::Mutex<Inner>,
}

/// What changes while a store is open.
pub(crate) struct Inner {
    /// Who opened it.
    pub process: u32,
    holder: Option<Holder>,
    pub blocks: BTreeMap<u128, Block>,
    /// Tickets that were used and are to be marked so at the next occasion.
    pub spent: BTreeMap<u128, Vec<u32>>,
}

mod parking {
    use std::sync::{Mutex, MutexGuard, PoisonError};

    /// A thread that panicked has left nothing half done: what matters is on the disk.
    pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TicketStore {
    /// Opens a store, making the directory (mode 0700) if it is not there, and clears away what
    /// processes that were killed left behind.
    ///
    /// # Errors
    /// [`TicketStoreError::Storage`].
    pub fn open(directory: &Path, owner: Owner, key: &StoreKey) -> Result<Self, TicketStoreError> {
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(directory).map_err(|error| TicketStoreError::io(directory, &error))?;
        let access = Access { directory: directory.to_owned(), owner, sealer: Sealer::new(key) };
        let inner = Inner {
            process: std::process::id(),
            holder: None,
            blocks: BTreeMap::new(),
            spent: BTreeMap::new(),
        };
        let store = Self { access, inner: std::sync::Mutex::new(inner) };
        store.sweep()?;
        Ok(store)
    }

    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.access.directory
    }

    /// Whose store it is.
    pub fn owner(&self) -> &Owner {
        &self.access.owner
    }

    /// Keeps 1 to 2048 new tickets of a model version as a block. All or none are kept.
    ///
    /// # Errors
    /// [`TicketStoreError::Count`], [`TicketStoreError::Shape`], [`TicketStoreError::Modulus`] for
    /// tickets that cannot be kept; [`TicketStoreError::DiskFull`] and
    /// [`TicketStoreError::Storage`].
    pub fn add(
        &self,
        edition: &Edition,
        tickets: &[TicketParts<'_>],
    ) -> Result<(), TicketStoreError> {
        // Writing a block takes long, and others may take tickets meanwhile.
        let holder = lock(&self.inner).holder(&self.access)?;
        Draft::write(&self.access, &mut fresh_rng(), holder, edition, tickets)?
            .publish(&self.access)
    }

    pub(crate) fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// Every file of the store.
    pub(crate) fn files(&self) -> Result<Vec<PathBuf>, TicketStoreError> {
        files(&self.access.directory)
    }

    /// Removes what processes that were killed left behind.
    fn sweep(&self) -> Result<(), TicketStoreError> {
        for path in self.files()? {
            let stale = match Kind::of(&path) {
                Kind::Draft(holder) | Kind::Holder(holder) => !self.access.is_alive(&holder),
                Kind::Journal(id) => !self.access.block_path(id).exists(),
                Kind::NewHolder => is_abandoned(&path),
                Kind::Block(_) | Kind::Damaged | Kind::Other => false,
            };
            if stale {
                // Another process may have been faster.
                let _ = fs::remove_file(&path);
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Opens blocks that appeared and forgets those that are gone; returns all ids.
    pub fn refresh(&mut self, access: &Access) -> Result<Vec<u128>, TicketStoreError> {
        let mut ids = Vec::new();
        for path in files(&access.directory)? {
            let Kind::Block(id) = Kind::of(&path) else { continue };
            if !self.blocks.contains_key(&id)
                && let Some(block) = self.guard(access, id, Block::open(access, id))?
            {
                self.blocks.insert(id, block);
            }
            if self.blocks.contains_key(&id) {
                ids.push(id);
            }
        }
        self.blocks.retain(|id, _| ids.contains(id));
        Ok(ids)
    }

    /// Takes care of a block that cannot be used: `None` then. Other errors stay errors.
    pub fn guard<T>(
        &mut self,
        access: &Access,
        id: u128,
        result: Result<T, TicketStoreError>,
    ) -> Result<Option<T>, TicketStoreError> {
        let error = match result {
            Ok(value) => return Ok(Some(value)),
            Err(error) => error,
        };
        let path = access.block_path(id);
        match error {
            TicketStoreError::Damaged { cause, .. } => {
                self.blocks.remove(&id);
                set_aside(&path)?;
                let path = path.display();
                tracing::warn!(%path, cause, "stored tickets are damaged and set aside");
                Ok(None)
            }
            TicketStoreError::Foreign { field, got, expected, .. } => {
                self.blocks.remove(&id);
                let path = path.display();
                tracing::debug!(%path, field, got, expected, "stored tickets are not of this store");
                Ok(None)
            }
            TicketStoreError::Gone { .. } => {
                self.blocks.remove(&id);
                Ok(None)
            }
            error @ (TicketStoreError::Exhausted { .. }
            | TicketStoreError::Count { .. }
            | TicketStoreError::Shape { .. }
            | TicketStoreError::Modulus { .. }
            | TicketStoreError::Forked { .. }
            | TicketStoreError::Busy { .. }
            | TicketStoreError::DiskFull { .. }
            | TicketStoreError::Storage { .. }) => Err(error),
        }
    }

    /// Deletes a block that has no more use.
    pub fn delete(&mut self, access: &Access, id: u128) {
        self.blocks.remove(&id);
        self.spent.remove(&id);
        delete_block(&access.block_path(id));
    }

    /// Who takes tickets here.
    pub fn holder(&mut self, access: &Access) -> Result<HolderId, TicketStoreError> {
        let (got, expected) = (std::process::id(), self.process);
        if got != expected {
            // Both would be this holder, with the same locks and the same random numbers.
            return Err(TicketStoreError::Forked { got, expected });
        }
        if let Some(holder) = &self.holder {
            return Ok(holder.id);
        }
        let holder = Holder::new(&access.directory, &mut fresh_rng())?;
        Ok(self.holder.insert(holder).id)
    }

    /// Takes the tickets of a block that are to be marked as used.
    pub fn due(&mut self, id: u128) -> Vec<u32> {
        self.spent.remove(&id).unwrap_or_default()
    }

    pub fn note_spent(&mut self, place: Place) {
        self.spent.entry(place.block).or_default().push(place.number);
    }
}

impl fmt::Debug for TicketStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Access { directory, owner, .. } = &self.access;
        f.debug_struct("TicketStore")
            .field("directory", directory)
            .field("owner", owner)
            .finish_non_exhaustive()
    }
}

/// Files of a directory that need not be there, in the order of their names.
pub(crate) fn files(directory: &Path) -> Result<Vec<PathBuf>, TicketStoreError> {
    let failed = |error: std::io::Error| TicketStoreError::io(directory, &error);
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.sort();
    Ok(paths)
}

/// Renames a block so that nobody opens it any more.
fn set_aside(path: &Path) -> Result<(), TicketStoreError> {
    let damaged = damaged_path(path);
    match fs::rename(path, &damaged) {
        // The journal may hold what somebody who repairs the file needs.
        Ok(()) => {
            let _ = fs::rename(journal_path(path), journal_path(&damaged));
            Ok(())
        }
        // Another process was faster.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(TicketStoreError::io(path, &error)),
    }
}

/// Deletes a block's files. Whoever has it open goes on with what is now nobody else's.
pub(crate) fn delete_block(path: &Path) {
    // The block first: a block without its journal could be taken for complete.
    if fs::remove_file(path).is_ok() {
        let _ = fs::remove_file(journal_path(path));
    }
}
