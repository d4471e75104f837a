//! Carrying unused tickets over to another version of the model.

use crate::draft::Draft;
use crate::edition::Edition;
use crate::error::TicketStoreError;
use crate::seal::{fresh_nonce, fresh_rng};
use crate::store::TicketStore;
use crate::ticket::{StoredTicket, TicketParts};

impl TicketStore {
    /// Repairs all unused tickets of one model version for another, block by block; returns how
    /// many.
    ///
    /// `repair` gets the unused tickets of a block (seed and u of every stage) and changes their
    /// answers in place into those of the new version; seeds stay. While it runs, no process can
    /// take a ticket of the block. Then the repaired tickets appear as a block of the new version,
    /// and those of the old one are marked as gone, such that no r is ever used for both: a crash
    /// in between leaves the old block as it was, or (in the moment between two file operations)
    /// loses the block.
    ///
    /// If `repair` fails, its block stays as it was, and the blocks before it are repaired.
    ///
    /// # Errors
    /// What `repair` returns; [`TicketStoreError::Shape`] if answers do not fit the new version;
    /// [`TicketStoreError::Busy`], [`TicketStoreError::DiskFull`] and
    /// [`TicketStoreError::Storage`].
    pub fn repair<E: From<TicketStoreError>>(
        &self,
        from: &Edition,
        to: &Edition,
        mut repair: impl FnMut(&mut [StoredTicket]) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut inner = self.lock();
        let access = &self.access;
        let mut repaired = 0;
        for id in inner.by_unused(access, from)? {
            let (holder, nonce) = (inner.holder(access)?, fresh_nonce());
            let mut rng = fresh_rng();
            let Some(block) = inner.blocks.get_mut(&id) else { continue };
            let done = block.change(access, nonce, |block, contents, states| {
                if contents.header.edition != *from {
                    return Ok(None);
                }
                let read = block.read(access, contents, &states.unused());
                let mut tickets: Vec<StoredTicket> =
                    read.into_iter().filter_map(|(_, ticket)| ticket).collect();
                states.lose_unused();
                if tickets.is_empty() {
                    return Ok(None);
                }
                repair(&mut tickets).map_err(Failure::Repair)?;
                let parts: Vec<TicketParts<'_>> = tickets.iter().map(StoredTicket::parts).collect();
                let draft = Draft::write(access, &mut rng, holder, to, &parts)?;
                Ok(Some((draft, parts.len())))
            });
            let done = match done {
                Ok(done) => Ok(done),
                Err(Failure::Repair(error)) => return Err(error),
                Err(Failure::Store(error)) => Err(error),
            };
            if let Some(Some((draft, count))) = inner.guard(access, id, done)? {
                draft.publish(access)?;
                repaired += count;
            }
            inner.settle(access, id, &[])?;
        }
        Ok(repaired)
    }
}

/// Whose error it was.
enum Failure<E> {
    Repair(E),
    Store(TicketStoreError),
}

impl<E> From<TicketStoreError> for Failure<E> {
    fn from(error: TicketStoreError) -> Self {
        Self::Store(error)
    }
}
