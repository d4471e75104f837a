//! Ledgers of models from before there was one of data sets.

use super::*;

#[test]
fn ledgers_of_models_count_for_every_set_of_as_many_images_until_it_is_known_for_which() {
    let home = Home::new();
    for (model, steps) in [("old", 8), ("older", 4)] {
        record(&mut home.model(model, 100), charge(1.5), steps);
    }
    record(&mut home.model("small", 10), charge(1.5), 1);
    home.put_aside("older");
    home.train("new", Some("digits"), 0..100, (1.5, 5, 5), true).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 17)])));
    home.train("new2", Some("letters"), 100..200, (1.5, 5, 5), true).unwrap();
    assert_eq!(home.status("letters").spent, Ok(epsilon(&[(1.5, 17)])));
    // One of them is trained further: it was the letters.
    home.train("old", Some("letters"), 100..200, (1.5, 2, 2), true).unwrap();
    assert_eq!(home.status("letters").spent, Ok(epsilon(&[(1.5, 19)])));
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 9)])));
    let models: Vec<(String, bool)> =
        home.status("digits").models.into_iter().map(|m| (m.model, m.deleted)).collect();
    assert_eq!(models, [("new".to_owned(), false), ("older".to_owned(), true)]);
}

#[test]
fn steps_that_only_the_models_ledger_knows_count_for_the_set_it_is_trained_on() {
    let home = Home::new();
    home.train("a", Some("digits"), 0..100, (1.5, 5, 5), true).unwrap();
    let before = std::fs::read(home.path()).unwrap();
    home.train("a", Some("digits"), 0..100, (1.5, 7, 7), true).unwrap();
    // An old copy is put back.
    std::fs::write(home.path(), before).unwrap();
    home.train("a", Some("digits"), 0..100, (1.5, 1, 1), true).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 13)])));
}

#[test]
fn rejects_a_home_with_a_ledger_that_cannot_be_read() {
    let home = Home::new();
    record(&mut home.model("old", 100), charge(1.5), 1);
    std::fs::write(home.model_path("broken"), b"nothing").unwrap();
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let error = DataLedger::open(&home.path(), &home.ledgers(), &mut rng).unwrap_err();
    assert!(error.to_string().contains("broken.redb"), "{error}");
    assert!(!home.path().exists());
}

#[test]
fn a_ledger_in_use_is_taken_over_when_it_is_not_any_more() {
    let home = Home::new();
    let mut held = home.model("old", 100);
    record(&mut held, charge(1.5), 3);
    home.train("new", Some("digits"), 0..100, (1.5, 5, 5), true).unwrap();
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 5)])));
    record(&mut held, charge(1.5), 1);
    drop(held);
    assert_eq!(home.status("digits").spent, Ok(epsilon(&[(1.5, 9)])));
}
