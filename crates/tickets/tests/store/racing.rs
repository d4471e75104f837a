//! Takers, repairers and adders at once, all of them killed at any moment.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rand::RngExt;
use sphinx_tickets::{StoredTicket, TicketStore, TicketStoreError};

use crate::world::{add, edition, open, tickets};

const ROUNDS: usize = 15;
/// Tickets are added at version 1 and repaired up to this one.
const NEWEST: u64 = 4;

fn spawn(role: &str, directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("racing::{role}"), "--ignored", "--nocapture"])
        .env("SPHINX_TEST_STORE", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap()
}

/// Hands on what tickets a process uses, but for a line that a kill cut short.
fn read(stdout: ChildStdout, sender: &mpsc::Sender<String>) {
    let (mut stdout, mut line) = (BufReader::new(stdout), String::new());
    while stdout.read_line(&mut line).unwrap() > 0 {
        if let Some(used) = line.strip_prefix("use ").and_then(|used| used.strip_suffix('\n')) {
            sender.send(used.to_owned()).unwrap();
        }
        line.clear();
    }
}

fn store() -> TicketStore {
    open(std::env::var_os("SPHINX_TEST_STORE").unwrap().as_ref())
}

/// What tells a ticket from all others wherever it is kept: its masks.
fn identity(ticket: &StoredTicket) -> String {
    ticket.seed.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn no_seed_is_handed_out_twice_while_tickets_are_repaired_and_everybody_is_killed() {
    let directory = tempfile::tempdir().unwrap();
    let mut rng = rand::rng();
    let (mut seen, mut repaired) = (HashSet::new(), 0);
    for round in 0..ROUNDS {
        add(&open(directory.path()), &edition(1), &tickets(100, &edition(1), round as u64));
        let roles = ["taker", "taker", "repairer", "repairer", "adder"];
        let mut children = roles.map(|role| spawn(role, directory.path()));
        let (sender, lines) = mpsc::channel();
        let readers = children.each_mut().map(|child| {
            let (stdout, sender) = (child.stdout.take().unwrap(), sender.clone());
            std::thread::spawn(move || read(stdout, &sender))
        });
        // Not before somebody takes a ticket, and then at any moment.
        let mut said = vec![lines.recv_timeout(Duration::from_secs(30)).unwrap()];
        std::thread::sleep(Duration::from_micros(rng.random_range(0..80_000)));
        let first = rng.random_range(0..children.len());
        children.rotate_left(first);
        for child in &mut children {
            assert!(child.try_wait().unwrap().is_none(), "a process ended by itself");
            child.kill().unwrap();
            child.wait().unwrap();
        }
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        said.extend(lines.try_iter());
        for used in said {
            let (seed, version) = used.split_once(" of ").unwrap();
            assert!(seen.insert(seed.to_owned()), "round {round}: used twice: {used}");
            repaired += usize::from(version != "1");
        }
    }
    let used = seen.len();
    assert!(used > ROUNDS && repaired > 0, "{used} used, {repaired} of them repaired");
    // What is left was never used, either, and is there once.
    let store = open(directory.path());
    for version in 1..=NEWEST {
        for ticket in store.lease(&edition(version), usize::MAX).unwrap() {
            assert!(seen.insert(identity(&ticket)), "left although it was used");
        }
    }
    let status = store.status().unwrap();
    assert_eq!((status.set_aside, status.foreign), (0, 0));
    let (kills, left) = (5 * ROUNDS, seen.len() - used);
    println!(
        "{kills} kills, {used} tickets used, {repaired} of them repaired, {left} left, used twice: 0"
    );
}

#[test]
#[ignore = "run by the test above"]
fn taker() {
    let (store, mut out) = (store(), std::io::stdout().lock());
    loop {
        for version in 1..=NEWEST {
            for ticket in store.lease(&edition(version), 5).unwrap() {
                // Said before it is used: what a killed process has not written, it has not used.
                let line = format!("\nuse {} of {version}\n", identity(&ticket));
                out.write_all(line.as_bytes()).unwrap();
                out.flush().unwrap();
                store.spent([ticket.place]);
            }
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
#[ignore = "run by the test above"]
fn repairer() {
    let (store, mut rng) = (store(), rand::rng());
    loop {
        let version = rng.random_range(1..NEWEST);
        let change = |tickets: &mut [StoredTicket]| {
            tickets.iter_mut().for_each(|ticket| ticket.answers[0][0] ^= 1);
            Ok::<_, TicketStoreError>(())
        };
        store.repair(&edition(version), &edition(version + 1), change).unwrap();
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
#[ignore = "run by the test above"]
fn adder() {
    let (store, mut rng) = (store(), rand::rng());
    loop {
        add(&store, &edition(1), &tickets(30, &edition(1), rng.random()));
        // Every block is a file that everybody else looks at.
        std::thread::sleep(Duration::from_millis(50));
    }
}
