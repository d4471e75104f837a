//! Processes that ended without saying so, and files.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[test]
fn a_killed_training_counts_in_full_until_its_ledger_is_read_and_then_for_what_it_did() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 8), false).unwrap();
    // The ledger of its model is in use: somebody goes on.
    let held = home.model("a", 100);
    let status = home.status("digits");
    assert_eq!(status.spent, Ok(epsilon(&[(1.5, 20)])));
    assert_eq!((status.models[0].steps, status.models[0].reserved), (0, 20));
    drop(held);
    let status = home.status("digits");
    assert_eq!(status.spent, Ok(epsilon(&[(1.5, 8)])));
    assert_eq!((status.models[0].steps, status.models[0].reserved), (8, 0));
    // It goes on where it was.
    home.train("a", Some("digits"), 0..100, (1.5, 12, 12), true).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 20)])));
}

#[test]
fn where_the_ledger_of_a_killed_training_is_lost_its_reservation_stays_spent() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 8), false).unwrap();
    fs::remove_file(home.model_path("a")).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 20)])));
    // Also when another model of that name comes.
    home.train("a", Some("digits"), 0..100, (1.5, 1, 1), true).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 21)])));
}

#[test]
fn what_deleted_models_spent_stays() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 8), false).unwrap();
    let ledger = home.model("a", 100);
    home.open().retire("me", "a", Some(&ledger)).unwrap();
    drop(ledger);
    home.put_aside("a");
    home.train("a", Some("digits"), 0..100, (1.5, 3, 3), true).unwrap();
    let status = home.status("digits");
    assert_eq!(status.spent, Ok(epsilon(&[(1.5, 11)])));
    let shares: Vec<(bool, u64)> =
        status.models.iter().map(|share| (share.deleted, share.steps)).collect();
    assert_eq!(shares, [(false, 3), (true, 8)]);
}

#[test]
fn the_file_is_its_owners_and_the_secret_is_each_homes_own() {
    let home = Home::new();
    let one = images_of(&home.open(), 0..3);
    assert_eq!(one, images_of(&home.open(), 0..3));
    assert_ne!(one, images_of(&Home::new().open(), 0..3));
    let mode = fs::metadata(home.path()).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode, 0o600);
}

#[test]
fn rejects_a_damaged_file() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 2, 2), true).unwrap();
    let mut bytes = fs::read(home.path()).unwrap();
    let place = bytes.windows(6).position(|window| window == b"digits").unwrap();
    bytes[place] ^= 1;
    fs::write(home.path(), bytes).unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let error = DataLedger::open(&home.path(), &home.ledgers(), &mut rng).unwrap_err();
    assert!(matches!(error, DataLedgerError::Ledger(LedgerError::Damaged { .. })), "{error}");
}
