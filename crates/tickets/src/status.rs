//! What a store holds, and removing it.

use std::fs;
use std::path::Path;

use crate::access::{Kind, journal_path};
use crate::edition::Edition;
use crate::error::TicketStoreError;
use crate::holder::{is_abandoned, is_alive};
use crate::seal::fresh_nonce;
use crate::store::{TicketStore, delete_block, files};

/// One block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockStatus {
    /// The model version.
    pub edition: Edition,
    /// Tickets that can be taken.
    pub unused: usize,
    /// Tickets that were used.
    pub used: usize,
    /// Tickets that a process which is still running has taken in advance, or is using.
    pub held: usize,
    /// Tickets that are damaged, or were taken by a process that was killed before it said which it
    /// used.
    pub lost: usize,
    /// Size of the file.
    pub bytes: u64,
}

/// A whole store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StoreStatus {
    /// Blocks, used up ones not included: those are deleted.
    pub blocks: Vec<BlockStatus>,
    /// Blocks that are of another owner or key, or copies; never used.
    pub foreign: usize,
    /// Files that were damaged and put aside.
    pub set_aside: usize,
    /// Size of the files in the two lines above.
    pub useless_bytes: u64,
}

/// What was removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cleared {
    /// Blocks, damaged ones included.
    pub blocks: usize,
    /// Their size.
    pub bytes: u64,
}

impl TicketStore {
    /// What the store holds.
    ///
    /// # Errors
    /// [`TicketStoreError::Busy`] and [`TicketStoreError::Storage`].
    pub fn status(&self) -> Result<StoreStatus, TicketStoreError> {
        let mut inner = self.lock();
        let access = &self.access;
        let mut status = StoreStatus::default();
        for id in inner.refresh(access)? {
            let Some(block) = inner.blocks.get(&id) else { continue };
            let contents = block.contents(access);
            let Some(mut contents) = inner.guard(access, id, contents)? else { continue };
            contents.states.forget(|holder| !access.is_alive(holder));
            let tally = contents.states.tally();
            status.blocks.push(BlockStatus {
                edition: contents.header.edition,
                unused: tally.unused,
                used: tally.used,
                held: tally.held,
                lost: tally.lost,
                bytes: size(&access.block_path(id)),
            });
        }
        for path in self.files()? {
            let counter = match Kind::of(&path) {
                Kind::Block(id) if !inner.blocks.contains_key(&id) => &mut status.foreign,
                Kind::Damaged if path.extension().is_some_and(|name| name == "damaged") => {
                    &mut status.set_aside
                }
                Kind::Block(_)
                | Kind::Damaged
                | Kind::Journal(_)
                | Kind::Draft(_)
                | Kind::Holder(_)
                | Kind::NewHolder
                | Kind::Other => continue,
            };
            *counter += 1;
            status.useless_bytes += size(&path);
        }
        Ok(status)
    }

    /// Deletes the blocks of model versions that will not be asked for again; returns how many
    /// unused tickets they had.
    ///
    /// # Errors
    /// [`TicketStoreError::Busy`] and [`TicketStoreError::Storage`].
    pub fn discard(&self, unwanted: impl Fn(&Edition) -> bool) -> Result<usize, TicketStoreError> {
        let mut inner = self.lock();
        let access = &self.access;
        let mut discarded = 0;
        for id in inner.refresh(access)? {
            let nonce = fresh_nonce();
            let Some(block) = inner.blocks.get_mut(&id) else { continue };
            // Marked first: others may have the block open.
            let marked = block.change(access, nonce, |_, contents, states| {
                let unwanted = unwanted(&contents.header.edition);
                let unused = states.tally().unused;
                if unwanted {
                    states.lose_unused();
                }
                Ok::<_, TicketStoreError>(unwanted.then_some(unused))
            });
            if let Some(Some(unused)) = inner.guard(access, id, marked)? {
                inner.delete(access, id);
                discarded += unused;
            }
        }
        Ok(discarded)
    }
}

/// Deletes all blocks of a directory, damaged ones and those of other keys included. Needs no key.
/// A process that uses the store goes on with the tickets it has taken.
///
/// # Errors
/// [`TicketStoreError::Storage`].
pub fn clear(directory: &Path) -> Result<Cleared, TicketStoreError> {
    let mut cleared = Cleared::default();
    for path in files(directory)? {
        let bytes = size(&path);
        match Kind::of(&path) {
            Kind::Block(_) => {
                delete_block(&path);
                cleared.blocks += 1;
            }
            Kind::Damaged => {
                cleared.blocks += usize::from(path.extension().is_some_and(|e| e == "damaged"));
                let _ = fs::remove_file(&path);
                let _ = fs::remove_file(journal_path(&path));
            }
            Kind::Draft(holder) | Kind::Holder(holder) if !is_alive(directory, &holder) => {
                let _ = fs::remove_file(&path);
            }
            Kind::NewHolder if is_abandoned(&path) => {
                let _ = fs::remove_file(&path);
            }
            Kind::Journal(_) | Kind::Draft(_) | Kind::Holder(_) | Kind::NewHolder | Kind::Other => {
                continue;
            }
        }
        if path.exists() {
            let cause = "cannot be deleted".to_owned();
            return Err(TicketStoreError::Storage { path, cause });
        }
        cleared.bytes += bytes;
    }
    Ok(cleared)
}

fn size(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |metadata| metadata.len())
}
