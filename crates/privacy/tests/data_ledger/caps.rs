//! What is not to be exceeded.

use super::*;

#[test]
fn a_training_that_would_exceed_the_cap_is_not_reserved() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    let cap = epsilon(&[(1.5, 30)]).proven();
    home.open().cap("digits", Some(target(cap))).unwrap();
    let error = home.train("b", Some("digits"), 0..100, (1.5, 11, 0), true).unwrap_err();
    let DataLedgerError::Cap { name, epsilon: after, allowed, steps, .. } = &error else {
        panic!("{error}")
    };
    assert_eq!((name.as_str(), *steps, *allowed), ("digits", 11, 10));
    assert_near(*after, epsilon(&[(1.5, 31)]).proven());
    // Under another name, or with other images beside, the cap holds for its own.
    home.train("b", Some("more"), 50..150, (1.5, 11, 0), true).unwrap_err();
    home.train("b", Some("others"), 100..200, (1.5, 11, 11), true).unwrap();
    home.train("c", Some("digits"), 0..100, (1.5, 10, 10), true).unwrap();
    let status = home.status("digits");
    assert!(status.left().unwrap() < 1e-9 && status.cap == Some(target(cap)), "{status:?}");
    home.open().cap("digits", None).unwrap();
    home.train("c", Some("digits"), 0..100, (1.5, 10, 10), true).unwrap();
}

#[test]
fn other_noise_counts_for_the_cap_by_renyi_divergences() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    let all = epsilon(&[(1.5, 20), (2.0, 20)]);
    let between = 0.5 * (all.pld.unwrap() + all.rdp);
    home.open().cap("digits", Some(target(between))).unwrap();
    let error = home.train("b", Some("digits"), 0..100, (2.0, 20, 0), true).unwrap_err();
    let DataLedgerError::Cap { epsilon: after, .. } = &error else { panic!("{error}") };
    assert_near(*after, all.rdp);
}

#[test]
fn rejects_a_cap_below_what_is_spent_or_reserved() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 20, 20), true).unwrap();
    let spent = epsilon(&[(1.5, 20)]).proven();
    let error = home.open().cap("digits", Some(target(0.99 * spent))).unwrap_err();
    let DataLedgerError::CapBelow { spent: said, .. } = &error else { panic!("{error}") };
    assert_near(*said, spent);
    home.open().cap("digits", Some(target(1.01 * spent))).unwrap();
    // A training that goes on has reserved what it may still spend.
    let home = Home::new();
    let ledger = home.model("a", 100);
    let mut data = home.open();
    let units = images_of(&data, 0..100);
    let start =
        TrainingStart { tenant: "me", name: Some("digits"), units, charge: charge(1.5), steps: 20 };
    data.begin(start, &ledger).unwrap();
    let error = data.cap("digits", Some(target(0.99 * spent))).unwrap_err();
    assert!(matches!(error, DataLedgerError::CapBelow { .. }), "{error}");
}

#[test]
fn rejects_taking_back_that_a_set_is_public_where_a_cap_would_be_exceeded() {
    let home = Home::new();
    home.train("a", Some("mnist"), 0..100, (1.5, 1, 1), true).unwrap();
    home.open().cap("mnist", Some(target(epsilon(&[(1.5, 2)]).proven()))).unwrap();
    home.open().publish("mnist", true).unwrap();
    home.train("b", Some("mnist"), 0..100, (1.5, 20, 20), true).unwrap();
    let error = home.open().publish("mnist", false).unwrap_err();
    assert!(matches!(error, DataLedgerError::CapBelow { .. }), "{error}");
    assert_eq!(home.status("mnist").private, 0);
}

/// Each is within the cap, both are not.
#[test]
fn two_trainings_at_once_keep_to_a_cap_together() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 1, 1), true).unwrap();
    home.open().cap("digits", Some(target(epsilon(&[(1.5, 30)]).proven()))).unwrap();
    let (first, second) = (home.model("b", 100), home.model("c", 100));
    let mut data = home.open();
    let units = images_of(&data, 0..100);
    let start =
        TrainingStart { tenant: "me", name: Some("digits"), units, charge: charge(1.5), steps: 20 };
    data.begin(start.clone(), &first).unwrap();
    let error = data.begin(start.clone(), &second).unwrap_err();
    assert!(matches!(error, DataLedgerError::Cap { allowed: 9, .. }), "{error}");
    // The first ends early, and leaves room.
    data.end("me", &first).unwrap();
    data.begin(start, &second).unwrap();
}
