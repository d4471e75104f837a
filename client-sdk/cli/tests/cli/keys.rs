//! Keys: made here, registered there.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use sphinx_client::{ReadKey, RootKey};

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
    assert_says(&error, &["another identity for key mine"]);
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
}

#[tokio::test(flavor = "multi_thread")]
async fn the_home_of_an_earlier_release_keeps_working() {
    let world = World::start().await;
    let keys = world.machine.home().join("keys");
    fs::create_dir_all(&keys).unwrap();
    let earlier = include_bytes!("../../../../crates/secret/tests/golden/first.key");
    fs::write(keys.join("old.key"), earlier).unwrap();
    fs::set_permissions(keys.join("old.key"), fs::Permissions::from_mode(0o600)).unwrap();
    // What was registered then is of no use now, and not looked at.
    fs::write(keys.join("old.pub"), b"public material").unwrap();
    let print = "b21f5f87bdebe4bafbc6153fff4bbbe771cf39e58081f5b24766bc83ec9e213a";
    let listed = world.run(&["keys", "list", "--local", "--json"]).json();
    assert_eq!(
        (&listed[0]["key"], &listed[0]["local_fingerprint"]),
        (&"old".into(), &print.into())
    );
    assert_eq!(world.run(&["keys", "register", "--json"]).json()["fingerprint"], print);
    let trained = world.train_tiny(&["--model", "m", "--privacy", "none"]);
    trained.succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_key_is_shown_as_such_and_refused() {
    let world = World::with_key().await;
    let print =
        world.run(&["keys", "show", "--json"]).json()["identity"]["local_fingerprint"].clone();
    let revoked = world.run(&["keys", "revoke", "mine", "--json"]).json();
    assert_eq!((&revoked["key"], &revoked["fingerprint"]), (&"mine".into(), &print));
    let again = world.run(&["keys", "revoke", "mine", "--json"]).json();
    assert_eq!(again, revoked);
    assert_says(&world.run(&["keys", "list"]).succeeded().stdout, &["REVOKED"]);
    assert_says(&world.run(&["keys", "show"]).succeeded().stdout, &["REVOKED"]);
    let error = world.train_tiny(&["--model", "m"]).refused(1);
    assert_says(&error, &["key mine was revoked"]);
    let error = world.run(&["keys", "register"]).refused(1);
    assert_says(&error, &["FailedPrecondition", "key mine was revoked at"]);
    // Whoever has lost the file can revoke as well; what nobody registered cannot be.
    let other = Machine::new();
    world.run_on(&other, &["keys", "revoke", "mine"]).succeeded();
    let error = world.run_on(&other, &["keys", "revoke", "nobodys"]).refused(1);
    assert_says(&error, &["key nobodys is not registered"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_key_is_exported_for_one_model_and_never_over_a_file() {
    let world = World::with_key().await;
    for model in ["a", "b"] {
        world.train_tiny(&["--model", model, "--privacy", "none"]).succeeded();
    }
    let export =
        |model: &str, file: &str| world.run(&["keys", "export-read", model, file, "--json"]);
    let exported = export("a", "a.read").json();
    let path = world.machine.directory.path().join("a.read");
    assert_eq!(mode(&path), 0o600);
    let read = ReadKey::load(&path).unwrap();
    assert_eq!((read.model().tenant.as_str(), read.model().model.as_str()), ("default", "a"));
    let incarnation: String =
        read.model().incarnation.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(exported["incarnation"], incarnation);
    // It is the root's key of that model, and no other's.
    let root = RootKey::load(&world.machine.home().join("keys/mine.key")).unwrap();
    let again = root.read_key(read.model()).challenge(1, 0, 8);
    assert_eq!(read.challenge(1, 0, 8), again);
    export("b", "b.read").succeeded();
    let other = ReadKey::load(&world.machine.directory.path().join("b.read")).unwrap();
    assert_ne!(other.challenge(1, 0, 8), again);

    assert_says(&export("a", "a.read").refused(1), &["a.read exists already"]);
    assert_says(&export("none", "none.read").refused(1), &["NotFound"]);
    let elsewhere = world.run_on(&Machine::new(), &["keys", "export-read", "a", "x"]).refused(1);
    assert_says(&elsewhere, &["key mine has no secret half"]);
}
