//! A disk that takes no more.

use std::io::Read;
use std::process::{Command, Stdio};

use sphinx_tickets::TicketStoreError;

use crate::world::{edition, filled, open, tickets};

/// Runs an ignored test in a process whose files may not grow beyond some 512-byte blocks.
#[cfg(unix)]
fn limited(test: &str, directory: &std::path::Path, blocks: u32) -> String {
    // Without the trap the signal would end the process instead of failing the write.
    let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let mut child = Command::new("sh")
        .args(["-c", &script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture"])
        .env("SPHINX_TEST_STORE", directory)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success(), "{text}");
    text
}

#[cfg(unix)]
#[test]
fn rejects_taking_what_cannot_be_marked() {
    let (directory, store, _) = filled(&[100]);
    let text = limited("disk::taker_without_disk", directory.path(), 4);
    assert!(text.contains("nothing taken"), "{text}");
    // Nothing was handed out, so nothing may be missing, and all can be taken now.
    assert_eq!(store.lease(&edition(1), 100).unwrap().len(), 100);
}

#[cfg(unix)]
#[test]
fn rejects_blocks_that_do_not_fit_on_the_disk() {
    let (directory, store, _) = filled(&[100]);
    let text = limited("disk::preparer_without_disk", directory.path(), 100);
    assert!(text.contains("nothing kept"), "{text}");
    assert_eq!(store.unused(&edition(1)), Ok(100));
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 2);
}

#[test]
#[ignore = "run by rejects_taking_what_cannot_be_marked"]
fn taker_without_disk() {
    let store = open(std::env::var_os("SPHINX_TEST_STORE").unwrap().as_ref());
    match store.lease(&edition(1), 10).map(|tickets| tickets.len()) {
        Err(TicketStoreError::Storage { .. } | TicketStoreError::DiskFull { .. }) => {
            println!("nothing taken");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
#[ignore = "run by rejects_blocks_that_do_not_fit_on_the_disk"]
fn preparer_without_disk() {
    let store = open(std::env::var_os("SPHINX_TEST_STORE").unwrap().as_ref());
    let made = tickets(1000, &edition(1), 5);
    let parts: Vec<_> = made.iter().map(|made| made.parts()).collect();
    match store.add(&edition(1), &parts) {
        Err(TicketStoreError::Storage { .. } | TicketStoreError::DiskFull { .. }) => {
            println!("nothing kept");
        }
        other => panic!("{other:?}"),
    }
}
