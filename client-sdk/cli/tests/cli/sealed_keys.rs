//! Keys under a passphrase, and what is needed to go on after a loss.

use std::fs;
use std::path::Path;

use crate::world::{Machine, Run, World, assert_says, mode};

fn with(machine: &Machine, passphrase: &str, arguments: &[&str]) -> Run {
    let mut command = machine.command(arguments);
    command.env("SPHINX_PASSPHRASE", passphrase);
    Run::of(command)
}

#[test]
fn a_sealed_key_is_opened_by_its_passphrase_alone() {
    let machine = Machine::new();
    let made =
        with(&machine, "correct horse", &["keys", "new", "--id", "mine", "--passphrase", "--json"]);
    let made = made.json();
    assert_eq!(made["sealed"], true);
    let file = machine.home().join("keys/mine.key");
    assert_eq!(mode(&file), 0o600);
    // The fingerprint needs no passphrase.
    let listed = machine.run(&["keys", "list", "--local", "--json"]).json();
    assert_eq!(listed[0]["local_fingerprint"], made["fingerprint"]);

    let remove = ["keys", "passphrase", "mine", "--remove"];
    let error = machine.run(&remove).refused(1);
    assert_says(&error, &["key mine is sealed by a passphrase", "SPHINX_PASSPHRASE"]);
    let error = with(&machine, "wrong horse", &remove).refused(1);
    assert_says(&error, &["not the passphrase of"]);
    let sealed = fs::read(&file).unwrap();
    let mut change = machine.command(&["keys", "passphrase"]);
    change.env("SPHINX_PASSPHRASE", "correct horse").env("SPHINX_NEW_PASSPHRASE", "battery staple");
    Run::of(change).succeeded();
    assert_ne!(fs::read(&file).unwrap(), sealed);
    assert_eq!(mode(&file), 0o600);
    with(&machine, "correct horse", &remove).refused(1);
    let new = machine.file("passphrase", "battery staple\n");
    machine.run(&[&remove[..], &["--passphrase-file", &new]].concat()).succeeded();
    let listed = machine.run(&["keys", "list", "--local", "--json"]).json();
    assert_eq!(listed[0]["local_fingerprint"], made["fingerprint"]);
    // Nothing else is left in the directory.
    assert_eq!(fs::read_dir(machine.home().join("keys")).unwrap().count(), 1);

    let empty = machine.file("empty", "\n");
    let arguments = ["keys", "passphrase", "--new-passphrase-file", &empty];
    assert_says(&machine.run(&arguments).refused(1), &["the passphrase is empty"]);
}

#[test]
fn a_key_that_was_cut_or_changed_is_called_damaged() {
    let machine = Machine::new();
    for sealed in [false, true] {
        let id = if sealed { "sealed" } else { "plain" };
        let new = ["keys", "new", "--id", id, "--passphrase"];
        with(&machine, "p", if sealed { &new } else { &new[..4] }).succeeded();
        let file = machine.home().join(format!("keys/{id}.key"));
        let whole = fs::read(&file).unwrap();
        let mut changed = whole.clone();
        *changed.last_mut().unwrap() ^= 1;
        for damaged in [&whole[..0], &whole[..whole.len() / 2], &whole[..whole.len() - 1], &changed]
        {
            fs::write(&file, damaged).unwrap();
            let error = with(&machine, "p", &["keys", "passphrase", id, "--remove"]).refused(1);
            assert_says(&error, &["is damaged", "restore it from your backup"]);
            let error = machine.run(&["keys", "backup", "never"]).refused(1);
            assert_says(&error, &["is damaged"]);
        }
        fs::write(&file, &whole).unwrap();
    }
    assert!(!machine.directory.path().join("never").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_home_is_restored_and_trains_on() {
    let world = World::with_key().await;
    world.train_tiny(&["--model", "m"]).succeeded();
    let before = world.run(&["privacy", "show", "m", "--json"]).json();
    let version = |run: Run| run.json()["version"].as_u64().unwrap();
    let trained = version(world.run(&["models", "show", "m", "--json"]));
    let backup = world.machine.directory.path().join("backup");
    let made = with(&world.machine, "p", &["keys", "backup", "backup", "--passphrase", "--json"]);
    let made = made.json();
    assert_eq!((&made["sealed"], mode(&backup)), (&true.into(), 0o600));
    let files = made["files"].as_array().unwrap();
    for file in ["keys/mine.key", "ledgers/default/m.redb"] {
        assert!(files.contains(&file.into()), "{files:?}");
    }
    assert!(!files.iter().any(|file| file.as_str().unwrap().starts_with("tickets")));
    let error = with(&world.machine, "p", &["keys", "backup", "backup"]).refused(1);
    assert_says(&error, &["exists already"]);

    // The home is gone.
    fs::rename(world.machine.home(), world.machine.directory.path().join("lost")).unwrap();
    assert_says(&world.run(&["keys", "register"]).refused(1), &["sphinx keys new"]);
    let restore = ["keys", "restore", "backup", "--json"];
    let error = world.run(&restore).refused(1);
    assert_says(&error, &["passphrase", "SPHINX_PASSPHRASE"]);
    assert_says(&with(&world.machine, "q", &restore).refused(1), &["not the passphrase"]);
    assert!(!world.machine.home().exists());
    let restored = with(&world.machine, "p", &restore).json();
    assert_eq!(restored["restored"], made["files"]);
    assert_same(&world.machine.home(), &world.machine.directory.path().join("lost"));
    assert_eq!(mode(&world.machine.home().join("keys/mine.key")), 0o600);
    assert_eq!(mode(&world.machine.home().join("keys")), 0o700);
    // A second time changes nothing.
    let again = with(&world.machine, "p", &restore).json();
    assert_eq!((&again["restored"], &again["unchanged"]), (&serde_json::json!([]), &made["files"]));

    // All goes on: registration, budget, training, recognition.
    assert_eq!(world.run(&["keys", "register", "--json"]).json()["already_registered"], true);
    assert_eq!(world.run(&["privacy", "show", "m", "--json"]).json(), before);
    world.run(&["train", "--model", "m", "--epochs", "0.1", "--epsilon", "8"]).succeeded();
    assert!(version(world.run(&["models", "show", "m", "--json"])) > trained);
    world.run(&["evaluate", "m", "--limit", "4"]).succeeded();
    // The ledger is another now, and is not put back over.
    let ledger = fs::read(world.machine.home().join("ledgers/default/m.redb")).unwrap();
    let error = with(&world.machine, "p", &restore).refused(1);
    assert_says(&error, &[".redb is here already and differs", "nothing was restored"]);
    assert_eq!(fs::read(world.machine.home().join("ledgers/default/m.redb")).unwrap(), ledger);
}

/// Every file of `restored` is as in `lost`, and only tickets are missing.
fn assert_same(restored: &Path, lost: &Path) {
    for entry in fs::read_dir(lost).unwrap() {
        let entry = entry.unwrap();
        let here = restored.join(entry.file_name());
        if entry.file_name() == "tickets" {
            assert!(!here.exists());
        } else if entry.path().is_dir() {
            assert_same(&here, &entry.path());
        } else {
            assert_eq!(fs::read(&here).unwrap(), fs::read(entry.path()).unwrap(), "{here:?}");
        }
    }
}

#[test]
fn rejects_damaged_backups_and_empty_homes() {
    let machine = Machine::new();
    assert_says(&machine.run(&["keys", "backup", "b"]).refused(1), &["nothing to back up"]);
    machine.run(&["keys", "new", "--id", "mine"]).succeeded();
    machine.run(&["keys", "backup", "b"]).succeeded();
    let file = machine.directory.path().join("b");
    let whole = fs::read(&file).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for damaged in [&whole[..40], &whole[..whole.len() - 1], &changed] {
        fs::write(&file, damaged).unwrap();
        let restore = ["keys", "restore", "b", "--home", "elsewhere"];
        assert_says(&machine.run(&restore).refused(1), &["b is damaged"]);
    }
    assert!(!machine.directory.path().join("elsewhere").exists());
    let no_backup = machine.home().join("keys/mine.key").to_str().unwrap().to_owned();
    let error = machine.run(&["keys", "restore", &no_backup]).refused(1);
    assert_says(&error, &["is no backup of Sphinx"]);
}
