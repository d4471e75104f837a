//! Processes that are killed at any moment.

use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use rand::RngExt;

use crate::world::{add, edition, files, open, tickets};

const KILLS: usize = 50;

/// A process that takes leases of so many tickets until there are none, and says which it uses
/// before it does.
pub fn worker(directory: &Path, lease: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "killed::taker", "--ignored", "--nocapture"])
        .env("SPHINX_TEST_STORE", directory)
        .env("SPHINX_TEST_LEASE", lease);
    command
}

#[test]
fn no_ticket_is_used_twice_however_processes_are_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut rng = rand::rng();
    let (mut seen, mut lost, mut made) = (HashSet::new(), 0, 0);
    for kill in 0..KILLS {
        let store = open(directory.path());
        if store.unused(&edition(1)).unwrap() < 2000 {
            add(&store, &edition(1), &tickets(2048, &edition(1), kill as u64));
            made += 2048;
        }
        drop(store);
        // Two at once, of which one is killed, then the other.
        let mut children: Vec<_> = ["2", "64"]
            .iter()
            .map(|lease| worker(directory.path(), lease).stdout(Stdio::piped()).spawn().unwrap())
            .collect();
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        for child in &mut children {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        for child in &mut children {
            let mut text = String::new();
            child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
            // Without the line that the kill cut short.
            let complete = text.rsplit_once('\n').map_or("", |(complete, _)| complete);
            for line in complete.lines().filter(|line| line.starts_with("use ")) {
                assert!(seen.insert(line.to_owned()), "used twice: {line}");
            }
        }
        let store = open(directory.path());
        let status = store.status().unwrap();
        assert_eq!((status.set_aside, status.foreign), (0, 0), "kill {kill} damaged the store");
        assert!(files(directory.path(), "holder").is_empty());
        lost = status.blocks.iter().map(|block| block.lost).sum();
    }
    println!(
        "{} kills, {made} tickets made, {} used, {lost} lost in blocks still there, used twice: 0",
        2 * KILLS,
        seen.len()
    );
    assert!(seen.len() > KILLS, "the processes were killed before they did anything");
}

/// Kills that come while blocks are written and tickets are repaired.
#[test]
fn a_killed_preparation_or_repair_leaves_all_or_nothing() {
    let mut rng = rand::rng();
    let mut finished = 0;
    for _ in 0..25 {
        let directory = tempfile::tempdir().unwrap();
        let store = open(directory.path());
        add(&store, &edition(1), &tickets(500, &edition(1), 1));
        drop(store);
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "killed::repairer", "--ignored", "--nocapture"])
            .env("SPHINX_TEST_STORE", directory.path())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_micros(rng.random_range(0..60_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        let store = open(directory.path());
        let counts = [store.unused(&edition(1)).unwrap(), store.unused(&edition(2)).unwrap()];
        // The third: killed between the mark and the new name.
        assert!([[500, 0], [0, 500], [0, 0]].contains(&counts), "{counts:?}");
        finished += usize::from(counts == [0, 500]);
        let drafts: Vec<PathBuf> = std::fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.to_string_lossy().contains("draft"))
            .collect();
        assert!(drafts.is_empty(), "{drafts:?} stayed behind");
        let status = store.status().unwrap();
        assert_eq!(status.set_aside, 0);
    }
    println!("25 kills, {finished} after the repair");
}

/// A killed process had the last tickets of a block.
#[test]
fn what_a_killed_process_had_is_cleared_away_by_the_next_lease() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    add(&store, &edition(1), &tickets(2048, &edition(1), 1));
    let mut child = worker(directory.path(), "2048").stdout(Stdio::piped()).spawn().unwrap();
    // It says what it uses until the pipe is full, which is before the end.
    let mut text = [0; 1000];
    child.stdout.as_mut().unwrap().read_exact(&mut text).unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    let block = &store.status().unwrap().blocks[0];
    assert_eq!((block.unused, block.held, block.lost), (0, 0, 2048));
    assert!(store.lease(&edition(1), 1).unwrap().is_empty());
    assert!(store.status().unwrap().blocks.is_empty());
}

/// Not a test of its own: the process that the tests kill.
#[test]
#[ignore = "run by no_ticket_is_used_twice_however_processes_are_killed"]
fn taker() {
    let lease: usize = std::env::var("SPHINX_TEST_LEASE").unwrap().parse().unwrap();
    let store = open(std::env::var_os("SPHINX_TEST_STORE").unwrap().as_ref());
    let mut out = std::io::stdout().lock();
    loop {
        let tickets = store.lease(&edition(1), lease).unwrap();
        if tickets.is_empty() {
            break;
        }
        for ticket in tickets {
            // A write of its own: what a killed process has not written, it has not used.
            out.write_all(format!("\nuse {}\n", ticket.place).as_bytes()).unwrap();
            out.flush().unwrap();
            store.spent([ticket.place]);
        }
    }
}

/// Not a test of its own: the process that the test above kills.
#[test]
#[ignore = "run by a_killed_preparation_or_repair_leaves_all_or_nothing"]
fn repairer() {
    let store = open(std::env::var_os("SPHINX_TEST_STORE").unwrap().as_ref());
    let repaired =
        store.repair(&edition(1), &edition(2), |_| Ok::<_, sphinx_tickets::TicketStoreError>(()));
    assert_eq!(repaired, Ok(500));
}
