//! Several processes and threads on one store.

use std::collections::HashSet;
use std::io::Read;
use std::process::Stdio;

use crate::killed::worker;
use crate::world::{edition, filled, open};

const PROCESSES: usize = 4;

#[test]
fn processes_that_share_a_store_never_take_one_ticket() {
    let (directory, store, _) = filled(&[600, 500]);
    let mut children: Vec<_> = (0..PROCESSES)
        .map(|_| worker(directory.path(), "9").stdout(Stdio::piped()).spawn().unwrap())
        .collect();
    let (mut seen, mut shares) = (HashSet::new(), Vec::new());
    for child in &mut children {
        let mut text = String::new();
        child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        assert!(child.wait().unwrap().success());
        let used: Vec<&str> = text.lines().filter(|line| line.starts_with("use ")).collect();
        shares.push(used.len());
        for place in used {
            assert!(seen.insert(place.to_owned()), "{place} was used twice");
        }
    }
    println!("{PROCESSES} processes used {shares:?} tickets");
    assert_eq!(seen.len(), 1100);
    // How many of them come in time is up to the system.
    assert!(shares.iter().filter(|&&share| share > 0).count() > 1);
    assert!(store.status().unwrap().blocks.is_empty());
}

#[test]
fn handles_of_one_process_never_take_one_ticket() {
    let (directory, store, _) = filled(&[300]);
    let mut seen = HashSet::new();
    std::thread::scope(|scope| {
        let take = || {
            let store = open(directory.path());
            let mut places = Vec::new();
            loop {
                let tickets = store.lease(&edition(1), 3).unwrap();
                if tickets.is_empty() {
                    return places;
                }
                store.spent(tickets.iter().map(|ticket| ticket.place));
                places.extend(tickets.into_iter().map(|ticket| ticket.place));
            }
        };
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(take)).collect();
        for place in threads.into_iter().flat_map(|thread| thread.join().unwrap()) {
            assert!(seen.insert(place));
        }
    });
    assert_eq!(seen.len(), 300);
    assert_eq!(store.unused(&edition(1)), Ok(0));
}

/// SQLite calls a file that was deleted since it was opened a read-only database.
#[test]
fn a_block_that_another_handle_deleted_is_gone_and_no_error() {
    let (directory, store, _) = filled(&[20, 30]);
    let mut held = store.lease(&edition(1), 5).unwrap();
    sphinx_tickets::clear(directory.path()).unwrap();
    store.spent([held[0].place]);
    assert_eq!(store.flush(), Ok(()));
    assert_eq!(store.release(held.drain(1..)), Ok(()));
    assert_eq!(store.lease(&edition(1), 5).map(|tickets| tickets.len()), Ok(0));
}
