//! What is kept comes out again, once.

use std::collections::HashSet;

use sphinx_tickets::{TicketStoreError, clear};

use crate::world::{add, edition, files, filled, open, tickets};

#[test]
fn tickets_come_back_as_they_were_each_once() {
    let (directory, store, made) = filled(&[100]);
    let made = &made[0];
    let first = store.take(&edition(1), 30).unwrap();
    drop(store);
    let store = open(directory.path());
    assert_eq!(store.unused(&edition(1)).unwrap(), 70);
    let leased = store.lease(&edition(1), 50).unwrap();
    let rest = store.lease(&edition(1), 50).unwrap();
    assert_eq!((leased.len(), rest.len()), (50, 20));
    assert!(store.lease(&edition(1), 1).unwrap().is_empty());
    let taken: Vec<_> = first.iter().chain(&leased).chain(&rest).collect();
    for made in made {
        assert_eq!(taken.iter().filter(|ticket| made.is(ticket)).count(), 1);
    }
    let places: HashSet<_> = taken.iter().map(|ticket| ticket.place).collect();
    assert_eq!(places.len(), 100);
}

#[test]
fn what_is_given_back_can_be_taken_again_and_what_was_used_cannot() {
    let (directory, store, _) = filled(&[10]);
    let leased = store.lease(&edition(1), 8).unwrap();
    store.spent(leased[..5].iter().map(|ticket| ticket.place));
    // Of those used, too: they stay used.
    store.flush().unwrap();
    store.release(leased).unwrap();
    assert_eq!(store.unused(&edition(1)).unwrap(), 5);
    let block = &store.status().unwrap().blocks[0];
    assert_eq!((block.unused, block.used, block.held, block.lost), (5, 5, 0, 0));
    assert_eq!(store.take(&edition(1), 5).unwrap().len(), 5);
    drop(store);
    // Used up: the file is gone.
    assert!(files(directory.path(), "tickets").is_empty());
    assert!(files(directory.path(), "holder").is_empty());
}

#[test]
fn many_are_taken_across_blocks_or_not_at_all() {
    let (_directory, store, _) = filled(&[40, 30]);
    let error = store.take(&edition(1), 71).unwrap_err();
    assert_eq!(error, TicketStoreError::Exhausted { needed: 71, left: 70 });
    assert_eq!(store.unused(&edition(1)).unwrap(), 70);
    assert_eq!(store.take(&edition(1), 60).unwrap().len(), 60);
    // The smaller block went first.
    store.flush().unwrap();
    let blocks = store.status().unwrap().blocks;
    assert_eq!(blocks.iter().map(|block| block.unused).collect::<Vec<_>>(), [10]);
}

#[test]
fn versions_do_not_mix_and_can_be_discarded() {
    let (directory, store, _) = filled(&[20]);
    add(&store, &edition(2), &tickets(5, &edition(2), 9));
    let mut reborn = edition(1);
    reborn.incarnation = vec![6; 16];
    let mut other_network = edition(1);
    other_network.stages[0].outputs += 1;
    for other in [reborn, other_network, edition(3)] {
        assert_eq!(store.unused(&other).unwrap(), 0);
        assert!(store.lease(&other, 1).unwrap().is_empty());
    }
    assert_eq!(store.discard(|edition| edition.version < 2).unwrap(), 20);
    assert_eq!(store.unused(&edition(1)).unwrap(), 0);
    assert_eq!(store.unused(&edition(2)).unwrap(), 5);
    let cleared = clear(directory.path()).unwrap();
    assert_eq!(cleared.blocks, 1);
    assert!(cleared.bytes > 0);
    assert_eq!(store.unused(&edition(2)).unwrap(), 0);
    assert_eq!(clear(&directory.path().join("none")).unwrap().blocks, 0);
}

#[test]
fn debug_shows_no_ticket_and_no_key() {
    let (_directory, store, made) = filled(&[1]);
    let ticket = store.take(&edition(1), 1).unwrap().remove(0);
    let place = format!("{:?}", ticket.place);
    let expected = format!("StoredTicket {{ place: {place}, .. }}");
    assert_eq!(format!("{ticket:?}"), expected);
    assert_eq!(format!("{:?}", made[0][0].parts()), "TicketParts(..)");
    assert!(!format!("{store:?}").contains("sealer"));
}

/// Killed between two file operations.
#[test]
fn what_killed_processes_left_behind_is_cleared_away() {
    let (directory, store, _) = filled(&[10]);
    drop(store);
    let left = |name: &str| {
        let path = directory.path().join(name);
        let file = std::fs::File::create(&path).unwrap();
        file.set_modified(std::time::UNIX_EPOCH).unwrap();
        path
    };
    let id = "ab".repeat(16);
    let stale = [format!("{id}.holder"), format!("{id}.holder-new"), format!("{id}.draft-{id}")];
    let stale = stale.map(|name| left(&name));
    let foreign = left("notes.holder-new");
    let store = open(directory.path());
    assert!(stale.iter().all(|path| !path.exists()), "{stale:?}");
    assert!(foreign.exists());
    assert_eq!(store.unused(&edition(1)), Ok(10));
}

#[cfg(unix)]
#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;
    let (directory, store, _) = filled(&[10]);
    let leased = store.lease(&edition(1), 2).unwrap();
    assert_eq!(leased.len(), 2);
    let mut count = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, 0o600, "{:?}", entry.path());
        count += 1;
    }
    // The block, its journal and the holder.
    assert_eq!(count, 3);
}

#[test]
fn rejects_tickets_that_do_not_fit() {
    let (_directory, store, _) = filled(&[]);
    let made = tickets(2049, &edition(1), 1);
    let parts: Vec<_> = made.iter().map(|made| made.parts()).collect();
    let error = store.add(&edition(1), &parts).unwrap_err();
    assert_eq!(error, TicketStoreError::Count { got: 2049, limit: 2048 });
    let error = store.add(&edition(1), &[]).unwrap_err();
    assert_eq!(error, TicketStoreError::Count { got: 0, limit: 2048 });
    let mut smaller = edition(1);
    smaller.stages[1].outputs = 6;
    let error = store.add(&smaller, &parts[..1]).unwrap_err();
    let (got, expected) = (vec![30, 7, 10], vec![30, 6, 10]);
    assert_eq!(error, TicketStoreError::Shape { index: 0, got, expected });
    smaller.stages[1].modulus_bits = 33;
    let error = store.add(&smaller, &parts[..1]).unwrap_err();
    assert_eq!(error, TicketStoreError::Modulus { got: 33 });
    assert!(store.status().unwrap().blocks.is_empty());
}
