//! Taking tickets out, and saying what became of them.

use std::collections::BTreeMap;

use crate::access::Access;
use crate::edition::Edition;
use crate::error::TicketStoreError;
use crate::seal::fresh_nonce;
use crate::store::{Inner, TicketStore};
use crate::ticket::{Place, StoredTicket};

impl TicketStore {
    /// Takes tickets of a model version to be used at once: `count`, or none. One commit per block
    /// they come from.
    ///
    /// # Errors
    /// [`TicketStoreError::Exhausted`] when there are fewer; [`TicketStoreError::Busy`],
    /// [`TicketStoreError::DiskFull`] and [`TicketStoreError::Storage`].
    pub fn take(
        &self,
        edition: &Edition,
        count: usize,
    ) -> Result<Vec<StoredTicket>, TicketStoreError> {
        let left = self.unused(edition)?;
        if left < count {
            return Err(TicketStoreError::Exhausted { needed: count, left });
        }
        let tickets = self.lease(edition, count)?;
        if tickets.len() < count {
            // Others took some meanwhile, or some are damaged.
            self.release(tickets)?;
            let left = self.unused(edition)?;
            return Err(TicketStoreError::Exhausted { needed: count, left });
        }
        self.spent(tickets.iter().map(|ticket| ticket.place));
        Ok(tickets)
    }

    /// Takes up to `at_most` tickets of a model version in advance, as many as there are. Before
    /// this returns they are durably marked as taken by this process. Say which are
    /// [used](Self::spent), and [give back](Self::release) the others; what is neither when the
    /// process ends is lost.
    ///
    /// # Errors
    /// As [`TicketStore::take`], if not a single ticket could be had; without error, none means
    /// that there are none.
    pub fn lease(
        &self,
        edition: &Edition,
        at_most: usize,
    ) -> Result<Vec<StoredTicket>, TicketStoreError> {
        let mut inner = self.lock();
        let (mut tickets, mut failure) = (Vec::new(), None);
        for id in inner.by_unused(&self.access, edition)? {
            while tickets.len() < at_most {
                let want = at_most - tickets.len();
                let taken = inner.take_from(&self.access, id, edition, want);
                match inner.guard(&self.access, id, taken) {
                    // Damaged ones leave room for others of the same block.
                    Ok(Some(taken)) if taken.marked > 0 => tickets.extend(taken.tickets),
                    Ok(_) => break,
                    Err(error) => {
                        failure = Some(error);
                        break;
                    }
                }
            }
        }
        match failure {
            Some(error) if tickets.is_empty() => Err(error),
            Some(_) | None => Ok(tickets),
        }
    }

    /// Notes that tickets were used, in memory: they are marked so when something else is written,
    /// at [`TicketStore::flush`], or when the store is dropped.
    pub fn spent(&self, places: impl IntoIterator<Item = Place>) {
        let mut inner = self.lock();
        places.into_iter().for_each(|place| inner.note_spent(place));
    }

    /// Gives back tickets that were taken here and not used; those already [spent](Self::spent)
    /// stay so. It takes them by value: what can be taken again exists here no more.
    ///
    /// # Errors
    /// [`TicketStoreError::Busy`], [`TicketStoreError::DiskFull`] and
    /// [`TicketStoreError::Storage`]; the tickets are lost then.
    pub fn release(
        &self,
        unused: impl IntoIterator<Item = StoredTicket>,
    ) -> Result<(), TicketStoreError> {
        let mut blocks: BTreeMap<u128, Vec<u32>> = BTreeMap::new();
        for StoredTicket { place: Place { block, number }, .. } in unused {
            blocks.entry(block).or_default().push(number);
        }
        let mut inner = self.lock();
        blocks.iter().try_for_each(|(id, numbers)| inner.settle(&self.access, *id, numbers))
    }

    /// Marks as used what was [spent](Self::spent), and deletes blocks that are used up.
    ///
    /// # Errors
    /// As [`TicketStore::release`]; then the tickets stay taken, and some count as lost later.
    pub fn flush(&self) -> Result<(), TicketStoreError> {
        let mut inner = self.lock();
        let blocks: Vec<u128> = inner.spent.keys().copied().collect();
        blocks.into_iter().try_for_each(|id| inner.settle(&self.access, id, &[]))
    }

    /// Unused tickets of a model version.
    ///
    /// # Errors
    /// [`TicketStoreError::Busy`] and [`TicketStoreError::Storage`].
    pub fn unused(&self, edition: &Edition) -> Result<usize, TicketStoreError> {
        let counts = self.lock().count_unused(&self.access, edition)?;
        Ok(counts.into_iter().map(|(_, unused)| unused).sum())
    }
}

impl Drop for TicketStore {
    fn drop(&mut self) {
        if let Err(error) = self.flush() {
            tracing::warn!(%error, "used tickets will count as lost");
        }
    }
}

/// Tickets marked as taken, and those of them that are sound.
struct Taken {
    marked: usize,
    tickets: Vec<StoredTicket>,
}

impl Inner {
    /// Unused tickets of every block of a model version.
    fn count_unused(
        &mut self,
        access: &Access,
        edition: &Edition,
    ) -> Result<Vec<(u128, usize)>, TicketStoreError> {
        let mut counts = Vec::new();
        for id in self.refresh(access)? {
            let Some(block) = self.blocks.get(&id) else { continue };
            let contents = block.contents(access);
            let Some(contents) = self.guard(access, id, contents)? else { continue };
            if contents.header.edition == *edition {
                counts.push((id, contents.states.tally().unused));
            }
        }
        Ok(counts)
    }

    /// Blocks of a model version, nearly empty ones first, so that files are used up one by one.
    pub fn by_unused(
        &mut self,
        access: &Access,
        edition: &Edition,
    ) -> Result<Vec<u128>, TicketStoreError> {
        let mut counts = self.count_unused(access, edition)?;
        for &(id, _) in counts.iter().filter(|(_, unused)| *unused == 0) {
            // All that is left may be what processes had that were killed: nobody else looks after
            // it.
            if let Err(error) = self.settle(access, id, &[]) {
                tracing::warn!(%error, "a used up block of tickets is not deleted yet");
            }
        }
        counts.retain(|(_, unused)| *unused > 0);
        counts.sort_by_key(|(_, unused)| *unused);
        Ok(counts.into_iter().map(|(id, _)| id).collect())
    }

    fn take_from(
        &mut self,
        access: &Access,
        id: u128,
        edition: &Edition,
        want: usize,
    ) -> Result<Taken, TicketStoreError> {
        let (holder, nonce, due) = (self.holder(access)?, fresh_nonce(), self.due(id));
        let Some(block) = self.blocks.get_mut(&id) else {
            return Ok(Taken { marked: 0, tickets: Vec::new() });
        };
        let marked = block.change(access, nonce, |_, contents, states| {
            states.used(&due, holder);
            states.forget(|holder| !access.is_alive(holder));
            // Another process may have repaired it for another version.
            let fits = contents.header.edition == *edition;
            let numbers = if fits { states.take(want, holder) } else { Vec::new() };
            Ok::<_, TicketStoreError>((numbers, states.is_used_up()))
        });
        let (numbers, used_up) = marked.inspect_err(|_| {
            self.spent.entry(id).or_default().extend_from_slice(&due);
        })?;
        if used_up {
            // Others took the last ones meanwhile, and were done before what was due here was
            // marked.
            self.delete(access, id);
        }
        let Some(block) = self.blocks.get(&id) else {
            return Ok(Taken { marked: 0, tickets: Vec::new() });
        };
        let contents = block.contents(access)?;
        let (mut tickets, mut damaged) = (Vec::new(), Vec::new());
        for (number, ticket) in block.read(access, &contents, &numbers) {
            match ticket {
                Some(ticket) => tickets.push(ticket),
                None => damaged.push(number),
            }
        }
        if !damaged.is_empty() {
            let (path, count) = (block.path().display(), damaged.len());
            tracing::warn!(%path, count, "stored tickets are damaged and not used");
            let nonce = fresh_nonce();
            if let Some(block) = self.blocks.get_mut(&id) {
                block.change(access, nonce, |_, _, states| {
                    states.lost(&damaged, holder);
                    Ok::<_, TicketStoreError>(())
                })?;
            }
        }
        Ok(Taken { marked: numbers.len(), tickets })
    }

    /// Marks what is due as used and what is given back as unused; deletes the block if that uses
    /// it up.
    pub fn settle(
        &mut self,
        access: &Access,
        id: u128,
        unused: &[u32],
    ) -> Result<(), TicketStoreError> {
        let (holder, nonce, due) = (self.holder(access)?, fresh_nonce(), self.due(id));
        let Some(block) = self.blocks.get_mut(&id) else { return Ok(()) };
        let settled = block.change(access, nonce, |_, _, states| {
            states.used(&due, holder);
            states.give_back(unused, holder);
            states.forget(|holder| !access.is_alive(holder));
            Ok::<_, TicketStoreError>(states.is_used_up())
        });
        if self.guard(access, id, settled)? == Some(true) {
            self.delete(access, id);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;
    use crate::edition::{Owner, StageShape};
    use crate::seal::StoreKey;
    use crate::ticket::TicketParts;

    fn edition() -> Edition {
        let stages = vec![StageShape { inputs: 4, outputs: 2, modulus_bits: 9 }];
        Edition { incarnation: vec![7], version: 1, stages }
    }

    fn open(directory: &std::path::Path) -> TicketStore {
        let own = str::to_owned;
        let owner = Owner { tenant: own("a"), model: own("b"), key_id: own("c") };
        let key = StoreKey::new(Zeroizing::new([1; 32]));
        TicketStore::open(directory, owner, &key).unwrap()
    }

    fn add(store: &TicketStore, count: usize) {
        let answers = [Zeroizing::new(vec![5, 6])];
        let parts = TicketParts { seed: &[3; 16], answers: &answers };
        store.add(&edition(), &vec![parts; count]).unwrap();
    }

    /// What a child finds after a fork: everything as in its parent, but for the process id.
    #[test]
    fn rejects_a_store_that_another_process_opened() {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        add(&store, 9);
        let held = store.lease(&edition(), 3).unwrap();
        let (got, parent) = (std::process::id(), std::process::id() + 1);
        store.lock().process = parent;
        let forked = TicketStoreError::Forked { got, expected: parent };
        assert_eq!(store.lease(&edition(), 1).map(|_| ()), Err(forked.clone()));
        assert_eq!(store.release(held), Err(forked.clone()));
        let repair = |_: &mut [StoredTicket]| Ok::<_, TicketStoreError>(());
        assert_eq!(store.repair(&edition(), &edition(), repair), Err(forked));
        assert_eq!(store.unused(&edition()), Ok(6));
    }

    /// Between counting and taking, another handle takes the last tickets, uses them and is done.
    #[test]
    fn a_block_is_deleted_by_whoever_is_done_with_it_last() {
        let (directory, edition) = (tempfile::tempdir().unwrap(), edition());
        let (late, other) = (open(directory.path()), open(directory.path()));
        add(&late, 20);
        let places = |tickets: Vec<StoredTicket>| tickets.into_iter().map(|ticket| ticket.place);
        late.spent(places(late.lease(&edition, 10).unwrap()));
        let id = late.lock().by_unused(&late.access, &edition).unwrap()[0];
        other.spent(places(other.lease(&edition, 10).unwrap()));
        other.flush().unwrap();
        assert_eq!(other.status().unwrap().blocks.len(), 1);
        let taken = late.lock().take_from(&late.access, id, &edition, 10).unwrap();
        assert_eq!(taken.marked, 0);
        assert!(other.status().unwrap().blocks.is_empty());
    }
}
