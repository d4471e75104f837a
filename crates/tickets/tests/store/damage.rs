//! Whatever happens to a file: it is noticed, nothing wrong comes out, nothing comes out twice, the
//! rest is usable.

use std::collections::HashSet;
use std::fs;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_tickets::Place;

use crate::world::{Made, edition, files, filled, open};

/// Takes all there is and checks it.
fn take_all(directory: &std::path::Path, made: &[Made], seen: &mut HashSet<Place>) -> usize {
    let store = open(directory);
    let tickets = store.lease(&edition(1), 10_000).unwrap();
    for ticket in &tickets {
        assert!(made.iter().any(|made| made.is(ticket)), "a ticket that nobody made");
        assert!(seen.insert(ticket.place), "taken twice");
    }
    store.spent(tickets.iter().map(|ticket| ticket.place));
    tickets.len()
}

#[test]
fn flipped_bytes_cost_their_tickets_and_never_give_one_twice() {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let (mut lost, mut aside) = (0, 0);
    for _ in 0..60 {
        let (directory, store, made) = filled(&[100, 20]);
        let mut seen = HashSet::new();
        // From the smaller block.
        seen.extend(store.take(&edition(1), 10).unwrap().iter().map(|ticket| ticket.place));
        drop(store);
        let blocks = files(directory.path(), "tickets");
        let size = |path: &std::path::PathBuf| fs::metadata(path).unwrap().len();
        let small = blocks.iter().min_by_key(|path| size(path)).unwrap();
        let mut bytes = fs::read(small).unwrap();
        for _ in 0..20 {
            let index = rng.random_range(0..bytes.len());
            bytes[index] ^= rng.random_range(1..=255);
        }
        fs::write(small, bytes).unwrap();

        let all: Vec<Made> = made.into_iter().flatten().collect();
        let taken = take_all(directory.path(), &all, &mut seen);
        // The other block is complete.
        assert!((100..=110).contains(&taken), "{taken}");
        lost += 110 - taken;
        aside += files(directory.path(), "damaged").len();
    }
    println!("600 tickets in damaged blocks: {lost} lost, {aside} of 60 blocks set aside");
    assert!(lost > 60 && aside > 5, "the damage was not noticed");
}

#[test]
fn a_truncated_or_overwritten_block_is_set_aside() {
    for cut in [0, 1, 100, 4096, 10_000] {
        let (directory, store, made) = filled(&[50, 60]);
        drop(store);
        let block = files(directory.path(), "tickets").remove(0);
        let mut bytes = fs::read(&block).unwrap();
        bytes.truncate(cut);
        fs::write(&block, bytes).unwrap();
        let all: Vec<Made> = made.into_iter().flatten().collect();
        let taken = take_all(directory.path(), &all, &mut HashSet::new());
        assert!((50..110).contains(&taken), "{taken} after {cut}");
        let store = open(directory.path());
        let status = store.status().unwrap();
        assert_eq!((status.set_aside, status.foreign), (1, 0), "cut at {cut}");
        assert!(status.useless_bytes >= cut as u64);
        let cleared = sphinx_tickets::clear(directory.path()).unwrap();
        assert!(cleared.blocks >= 1);
        assert_eq!(store.status().unwrap().set_aside, 0);
    }
}

#[test]
fn states_of_another_block_do_not_open() {
    let (directory, store, _) = filled(&[20, 20]);
    drop(store);
    let blocks = files(directory.path(), "tickets");
    let states = |from: &std::path::Path| {
        let connection = rusqlite::Connection::open(from).unwrap();
        let select = "SELECT sealed FROM states";
        connection.query_row(select, [], |row| row.get::<_, Vec<u8>>(0)).unwrap()
    };
    let of_first = states(&blocks[0]);
    let connection = rusqlite::Connection::open(&blocks[1]).unwrap();
    connection.execute("UPDATE states SET sealed = ?1", [of_first]).unwrap();
    connection.close().unwrap();
    let store = open(directory.path());
    assert_eq!(store.unused(&edition(1)).unwrap(), 20);
    assert_eq!(store.status().unwrap().set_aside, 1);
}

#[test]
fn a_damaged_ticket_is_lost_and_its_neighbours_are_not() {
    let (directory, store, _) = filled(&[20]);
    let block = files(directory.path(), "tickets").remove(0);
    let connection = rusqlite::Connection::open(&block).unwrap();
    let swapped = "UPDATE tickets SET sealed = (SELECT sealed FROM tickets WHERE number = 4) \
         WHERE number = 3";
    connection.execute(swapped, []).unwrap();
    connection.execute("UPDATE tickets SET sealed = x'00' WHERE number = 5", []).unwrap();
    connection.execute("DELETE FROM tickets WHERE number = 6", []).unwrap();
    connection.close().unwrap();
    // Seven are asked for, and seven come: those after the damaged ones fill the gap.
    assert_eq!(store.lease(&edition(1), 7).unwrap().len(), 7);
    let status = &store.status().unwrap().blocks[0];
    assert_eq!((status.unused, status.held, status.lost), (10, 7, 3));
}
