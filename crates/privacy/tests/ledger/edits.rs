//! Edits made with the store itself, which keep every page checksum right.

use redb::{Database, ReadableTable, TableDefinition};

use std::path::Path;

use super::*;

const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
const ABANDONED: TableDefinition<'_, u64, ()> = TableDefinition::new("abandoned");
const PENDING: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pending");

fn edit(path: &Path, change: impl FnOnce(&redb::WriteTransaction)) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    change(&transaction);
    transaction.commit().unwrap();
}

fn replace(text: &[u8], from: &str, to: &str) -> Vec<u8> {
    let text = String::from_utf8(text.to_vec()).unwrap();
    assert!(text.contains(from), "{text}");
    text.replace(from, to).into_bytes()
}

fn assert_damaged(home: &Home, what: &str) {
    let error = home.open().unwrap_err();
    assert!(matches!(error, LedgerError::Damaged { .. }), "{what}: {error}");
}

#[test]
fn rejects_records_edited_removed_or_swapped() {
    let home = Home::with_steps(5);
    edit(&home.path(), |transaction| {
        let mut records = transaction.open_table(RECORDS).unwrap();
        let bytes = records.get(2).unwrap().unwrap().value().to_vec();
        let edited = replace(&bytes, "1.5", "9.5");
        records.insert(2, edited.as_slice()).unwrap();
    });
    assert_damaged(&home, "edited");

    for removed in [0, 2, 4] {
        let home = Home::with_steps(5);
        edit(&home.path(), |transaction| {
            transaction.open_table(RECORDS).unwrap().remove(removed).unwrap();
        });
        assert_damaged(&home, "removed");
    }

    let home = Home::with_steps(5);
    edit(&home.path(), |transaction| {
        let mut records = transaction.open_table(RECORDS).unwrap();
        let bytes = records.get(2).unwrap().unwrap().value().to_vec();
        let other = records.insert(3, bytes.as_slice()).unwrap().unwrap().value().to_vec();
        records.insert(2, other.as_slice()).unwrap();
    });
    assert_damaged(&home, "swapped");
}

#[test]
fn rejects_another_header_or_head() {
    for (key, from, to) in [
        ("header", "60000", "70000"),
        ("header", "\"format\":1", "\"format\":2"),
        ("head", "\"records\":5", "\"records\":4"),
    ] {
        let home = Home::with_steps(5);
        edit(&home.path(), |transaction| {
            let mut meta = transaction.open_table(META).unwrap();
            let bytes = meta.get(key).unwrap().unwrap().value().to_vec();
            meta.insert(key, replace(&bytes, from, to).as_slice()).unwrap();
        });
        assert_damaged(&home, from);
    }
}

#[test]
fn rejects_edited_pending_bytes() {
    let home = Home::with_steps(5);
    home.open().unwrap().reserve(&entry(5), None, b"bytes").unwrap();
    edit(&home.path(), |transaction| {
        let mut pending = transaction.open_table(PENDING).unwrap();
        pending.insert(5, &b"other"[..]).unwrap();
    });
    assert_damaged(&home, "pending");
}

#[test]
fn rejects_a_target_or_an_abandoned_record_that_cannot_be() {
    let home = Home::with_steps(5);
    home.open().unwrap().reserve(&entry(5), target(2.0), b"bytes").unwrap();
    edit(&home.path(), |transaction| {
        let mut meta = transaction.open_table(META).unwrap();
        let bytes = meta.get("target").unwrap().unwrap().value().to_vec();
        meta.insert("target", replace(&bytes, "2.0", "-2.0").as_slice()).unwrap();
    });
    assert_damaged(&home, "target");

    let home = Home::with_steps(5);
    edit(&home.path(), |transaction| {
        transaction.open_table(ABANDONED).unwrap().insert(5, ()).unwrap();
    });
    assert_damaged(&home, "abandoned");
}
