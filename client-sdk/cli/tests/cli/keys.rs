//! Keys: made here, registered there.

use std::fs;

use crate::world::{Machine, World, assert_says, mode};

#[test]
fn new_keys_are_private_and_never_overwritten() {
    let machine = Machine::new();
    let made = machine.run(&["keys", "new", "--json"]).json();
    let (id, print) = (made["key"].as_str().unwrap(), made["fingerprint"].as_str().unwrap());
    assert_eq!(id, format!("key-{}", &print[..12]));
    assert_eq!(mode(&machine.home().join(format!("keys/{id}.key"))), 0o600);
    assert_eq!(mode(&machine.home().join("keys")), 0o700);

    let listed = machine.run(&["keys", "list", "--local", "--json"]).json();
    assert_eq!(listed[0]["local_fingerprint"].as_str(), Some(print));
    let error = machine.run(&["keys", "new", "--id", id]).refused(1);
    assert_says(&error, &["exists already"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn registering_twice_is_registering_once() {
    let world = World::start().await;
    world.run(&["keys", "new", "--id", "mine"]).succeeded();
    let first = world.run(&["keys", "register", "mine", "--json"]).json();
    let second = world.run(&["keys", "register", "mine", "--json"]).json();
    assert_eq!(first["already_registered"], false);
    assert_eq!(second["already_registered"], true);
    assert_eq!(first["fingerprint"], second["fingerprint"]);

    world.run(&["keys", "new", "--id", "unregistered"]).succeeded();
    let rows = world.run(&["keys", "list", "--json"]).json();
    assert_eq!(rows.as_array().unwrap().len(), 2);
    assert_eq!(rows[0]["local_fingerprint"], first["fingerprint"]);
    assert_eq!(rows[0]["registered_fingerprint"], first["fingerprint"]);
    assert_eq!(rows[1]["key"], "unregistered");
    assert!(rows[1]["registered_fingerprint"].is_null());
    let table = world.run(&["keys", "list"]).succeeded().stdout;
    assert_says(&table, &["mine", "unregistered", &first["fingerprint"].as_str().unwrap()[..16]]);
    // Another tenant sees none of it.
    let others = world.run(&["keys", "list", "--json", "--tenant", "other", "--home", "elsewhere"]);
    assert_eq!(others.json(), serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_another_key_of_the_same_name() {
    let world = World::with_key().await;
    let other = Machine::new();
    world.run_on(&other, &["keys", "new", "--id", "mine"]).succeeded();
    let error = world.run_on(&other, &["keys", "register"]).refused(1);
    assert_says(&error, &["keyvault", "AlreadyExists"]);
    let table = world.run_on(&other, &["keys", "list"]).succeeded().stdout;
    assert_says(&table, &["DIFFERENT"]);
    let error = world.run_on(&other, &["train"]).refused(1);
    assert_says(&error, &["other material for key mine"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_training_without_the_one_registered_key() {
    let world = World::start().await;
    assert_says(&world.run(&["train"]).refused(1), &["sphinx keys new"]);
    world.run(&["keys", "new", "--id", "a"]).succeeded();
    assert_says(&world.run(&["train"]).refused(1), &["sphinx keys register a"]);
    world.run(&["keys", "new", "--id", "b"]).succeeded();
    assert_says(&world.run(&["train"]).refused(2), &["a, b", "--key"]);
    let error = world.run(&["train", "--key", "c"]).refused(1);
    assert_says(&error, &["key c has no secret half"]);

    // The public half of one key beside the secret half of another.
    let keys = world.machine.home().join("keys");
    fs::copy(keys.join("b.pub"), keys.join("a.pub")).unwrap();
    let error = world.run(&["keys", "register", "a"]).refused(1);
    assert_says(&error, &["a.pub does not belong to the secret key"]);
}
