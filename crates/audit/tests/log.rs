//! Logs on a disk: written, cut, rotated, altered, and read.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sphinx_audit::{AuditError, AuditLog, Event, Fault, Verified, VerifyError, What, verify};
use tempfile::TempDir;

fn begins(number: usize) -> Event {
    Event {
        what: What::Begins,
        service: "trainer".to_owned(),
        request: format!("request-{number}"),
        rpc: "sphinx.v1.Trainer/DeleteModel".to_owned(),
        tenant: "acme".to_owned(),
        credential: "3f9ac01b77e2".to_owned(),
        object: format!("model m{number}"),
        outcome: String::new(),
    }
}

fn open(path: &Path) -> AuditLog {
    AuditLog::open("trainer", path, true).unwrap()
}

/// A log with the opening and `events` lines more. Its writer has ended.
async fn write(path: &Path, events: usize) {
    let log = open(path);
    for number in 0..events {
        log.record(begins(number)).await.unwrap();
    }
    close(log, path).await;
}

/// The lock is free when the writer has ended.
async fn close(log: AuditLog, path: &Path) {
    drop(log);
    let file = fs::File::open(path).unwrap();
    tokio::task::spawn_blocking(move || file.lock().unwrap()).await.unwrap();
}

fn place() -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("audit.log");
    (directory, path)
}

fn checked(path: &Path) -> Result<Verified, VerifyError> {
    verify(&[path.to_owned()], None)
}

/// The first broken line and what is wrong with it.
fn broken(path: &Path) -> (u64, Fault) {
    let error = checked(path).unwrap_err();
    let VerifyError::Broken { line, fault, .. } = error else { panic!("{error}") };
    (line, fault)
}

#[tokio::test]
async fn what_is_waited_for_is_in_the_file_and_the_chain_goes_on_after_a_restart() {
    let (_directory, path) = place();
    write(&path, 3).await;
    let text = fs::read_to_string(&path).unwrap();
    assert!(
        text.contains(r#""what":"begins","service":"trainer","request":"request-1""#),
        "{text}"
    );
    assert!(text.contains(r#""tenant":"acme","credential":"3f9ac01b77e2","object":"model m1""#));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let before = checked(&path).unwrap();
    assert_eq!((before.lines, before.first), (4, 0));

    write(&path, 2).await;
    let after = checked(&path).unwrap();
    assert_eq!((after.lines, after.first), (7, 0));
    // Who has noted a hash sees what is cut off.
    assert_eq!(verify(std::slice::from_ref(&path), Some(&before.head)).unwrap(), after);
    let lines: Vec<_> = text.lines().collect();
    fs::write(&path, format!("{}\n", lines[..3].join("\n"))).unwrap();
    assert_eq!(checked(&path).unwrap().lines, 3);
    let headless = verify(&[path], Some(&before.head)).unwrap_err();
    assert!(matches!(headless, VerifyError::Headless { .. }), "{headless}");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_requests_at_once_share_one_chain() {
    let (_directory, path) = place();
    let log = Arc::new(open(&path));
    let tasks: Vec<_> = (0..500)
        .map(|number| {
            let log = Arc::clone(&log);
            tokio::spawn(async move { log.record(begins(number)).await.unwrap() })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    log.note(begins(500));
    log.flush().await;
    assert_eq!(checked(&path).unwrap().lines, 502);
}

#[tokio::test]
async fn every_altered_byte_is_found_and_so_is_every_line_that_is_moved() {
    let (_directory, path) = place();
    write(&path, 4).await;
    let whole = fs::read(&path).unwrap();
    for at in 0..whole.len() {
        let mut altered = whole.clone();
        altered[at] ^= 1;
        fs::write(&path, &altered).unwrap();
        let line = whole[..at].iter().filter(|&&byte| byte == b'\n').count() as u64 + 1;
        assert_eq!(broken(&path).0, line, "byte {at}");
    }
    let text = String::from_utf8(whole).unwrap();
    let lines: Vec<_> = text.lines().collect();
    for (order, expected) in [
        (vec![0, 2, 3, 4], (2, Fault::Number { got: 2, expected: 1 })),
        (vec![0, 1, 1, 2, 3, 4], (3, Fault::Number { got: 1, expected: 2 })),
        (vec![0, 2, 1, 3, 4], (2, Fault::Number { got: 2, expected: 1 })),
    ] {
        let moved: String = order.iter().map(|&line| format!("{}\n", lines[line])).collect();
        fs::write(&path, moved).unwrap();
        assert_eq!(broken(&path), expected);
    }
    // A line of another log, right in itself and of the right number.
    let (_other_directory, other) = place();
    write(&other, 4).await;
    let other = fs::read_to_string(&other).unwrap();
    let foreign: Vec<_> = other.lines().collect();
    let mixed = [lines[0], lines[1], foreign[2], lines[3], ""].join("\n");
    fs::write(&path, mixed).unwrap();
    assert_eq!(broken(&path), (3, Fault::Unlinked));
}

#[tokio::test]
async fn a_line_that_a_crash_has_cut_is_removed_and_that_is_recorded() {
    let (_directory, path) = place();
    write(&path, 2).await;
    let whole = fs::read(&path).unwrap();
    let last = whole[..whole.len() - 1].iter().rposition(|&byte| byte == b'\n').unwrap() + 1;
    for cut in [last + 1, (last + whole.len()) / 2, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(broken(&path), (3, Fault::Torn));
        write(&path, 1).await;
        let text = fs::read_to_string(&path).unwrap();
        let removed = format!("{} bytes of a line that was not finished were removed", cut - last);
        assert!(text.contains(&removed), "{text}");
        assert_eq!(checked(&path).unwrap().lines, 5, "{text}");
    }
}

#[tokio::test]
async fn the_chain_goes_on_over_files_that_are_moved_away() {
    let (directory, path) = place();
    let first = directory.path().join("audit.log.2");
    let second = directory.path().join("audit.log.1");
    // Moved away while it is written to.
    let log = open(&path);
    log.record(begins(0)).await.unwrap();
    fs::rename(&path, &first).unwrap();
    log.record(begins(1)).await.unwrap();
    close(log, &path).await;
    // Moved away while nothing runs, an empty one in its place.
    fs::rename(&path, &second).unwrap();
    fs::write(&path, "").unwrap();
    write(&path, 1).await;
    let all = verify(&[first.clone(), second.clone(), path.clone()], None).unwrap();
    assert_eq!((all.lines, all.first), (5, 0));
    // Without the oldest, what is left still holds; without one in between it does not.
    assert_eq!(verify(&[second, path.clone()], None).unwrap().first, 2);
    let gap = verify(&[first, path], None).unwrap_err();
    assert!(matches!(gap, VerifyError::Broken { line: 1, .. }), "{gap}");
}

#[tokio::test]
async fn a_full_disk_refuses_and_goes_on_when_there_is_room() {
    let (directory, path) = place();
    let file = directory.path().join("file");
    let point_to = |target: &Path| {
        let _ = fs::remove_file(&path);
        std::os::unix::fs::symlink(target, &path).unwrap();
    };
    point_to(Path::new("/dev/full"));
    let refused = AuditLog::open("trainer", &path, true).unwrap_err().to_string();
    assert!(refused.contains("No space left"), "{refused}");

    point_to(&file);
    let log = open(&path);
    log.record(begins(0)).await.unwrap();
    point_to(Path::new("/dev/full"));
    for _ in 0..3 {
        let refused = log.record(begins(1)).await.unwrap_err().to_string();
        assert!(refused.contains("No space left"), "{refused}");
    }
    point_to(&file);
    log.record(begins(2)).await.unwrap();
    assert_eq!(checked(&path).unwrap().lines, 3);
    assert!(!fs::read_to_string(&path).unwrap().contains("request-1"));
}

#[tokio::test]
async fn rejects_a_file_of_another_writer_and_one_that_is_no_log() {
    let (_directory, path) = place();
    let log = open(&path);
    let locked = AuditLog::open("keyvault", &path, true).unwrap_err();
    assert_eq!(locked, AuditError::Locked { path: path.clone() });
    close(log, &path).await;

    OpenOptions::new().append(true).open(&path).unwrap().write_all(b"{}\n").unwrap();
    let damaged = AuditLog::open("trainer", &path, true).unwrap_err();
    assert_eq!(damaged, AuditError::Damaged { path: path.clone(), fault: Fault::NoEntry });
    for text in [&b"\xff\xfe\n"[..], b"\n", &[b'x'; 100_000]] {
        fs::write(&path, text).unwrap();
        assert!(matches!(AuditLog::open("trainer", &path, true), Err(AuditError::Damaged { .. })));
        assert_eq!(broken(&path), (1, Fault::NoEntry));
    }
    fs::write(&path, "").unwrap();
    assert_eq!(checked(&path), Err(VerifyError::Empty));
}

/// What a caller makes up has no room to make a line that nobody reads.
#[tokio::test]
async fn lines_stay_readable_whatever_a_caller_makes_up() {
    let (_directory, path) = place();
    let log = open(&path);
    for odd in ["x".repeat(1 << 16), "\u{1}".repeat(1 << 16), "é\"\\".repeat(1 << 14)] {
        let event = Event {
            what: What::Denied,
            service: odd.clone(),
            request: odd.clone(),
            rpc: odd.clone(),
            tenant: odd.clone(),
            credential: odd.clone(),
            object: odd.clone(),
            outcome: odd,
        };
        log.record(event).await.unwrap();
    }
    close(log, &path).await;
    assert_eq!(checked(&path).unwrap().lines, 4);
    // A service that is started again goes on.
    close(open(&path), &path).await;
    assert_eq!(checked(&path).unwrap().lines, 5);
}
