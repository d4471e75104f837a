//! `sphinx doctor` on set-ups that are whole and broken, and what shells and readers get.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::world::{Machine, Run, World, assert_says};

/// The findings of a run, by what they are about.
fn findings(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap()
}

fn of<'a>(findings: &'a Value, what: &str) -> &'a Value {
    let found = findings.as_array().unwrap().iter().find(|finding| finding["what"] == what);
    found.unwrap_or(&Value::Null)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_set_up_is_well_and_each_fault_is_named_with_what_to_do() {
    let world = World::with_key().await;
    world.train_tiny(&[]).succeeded();
    let well = world.run(&["doctor", "--json"]);
    let found = findings(&well);
    assert_eq!(well.code, Some(0), "{found}");
    for what in [
        "home",
        "disk",
        "key mine",
        "key vault",
        "trainer",
        "inference",
        "key mine at the key vault",
        "models",
    ] {
        assert_eq!(of(&found, what)["state"], "good", "{found}");
    }
    let text = world.run(&["doctor"]).succeeded().stdout;
    assert_says(&text, &["ok    trainer: answers"]);

    // Further trainers: the same one, one of another store, and none at all.
    let other = World::with_key().await;
    let trainers = [world.trainer(), other.trainer(), "http://127.0.0.1:1".to_owned()];
    let mut command = world.command(&["doctor", "--json"]);
    command.env("SPHINX_FURTHER_TRAINERS", trainers.join(","));
    let found = findings(&Run::of(command));
    let state =
        |address: &String| of(&found, &format!("further trainer {address}"))["state"].clone();
    assert_eq!(trainers.each_ref().map(state), ["good", "bad", "bad"], "{found}");
    let apart = of(&found, &format!("further trainer {}", trainers[1]));
    assert!(apart["advice"].as_str().unwrap().contains("one `store`"), "{found}");

    // A key that was never registered, one that others can read, and one that is cut.
    world.run(&["keys", "new", "--id", "fresh"]).succeeded();
    world.run(&["keys", "new", "--id", "open"]).succeeded();
    world.run(&["keys", "new", "--id", "cut"]).succeeded();
    let file = |name: &str| world.machine.home().join("keys").join(name);
    let open = file("open.key");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let cut = file("cut.key");
    let half = fs::read(&cut).unwrap();
    fs::write(&cut, &half[..half.len() / 2]).unwrap();
    let ill = world.run(&["doctor", "--json"]);
    let found = findings(&ill);
    assert_eq!(ill.code, Some(1), "{found}");
    assert_eq!(of(&found, "key fresh at the key vault")["state"], "doubtful");
    assert_eq!(of(&found, "key open")["state"], "bad");
    assert!(of(&found, "key open")["advice"].as_str().unwrap().contains("chmod 600"), "{found}");
    assert_eq!(of(&found, "key cut")["state"], "bad");
    assert_says(&ill.stderr, &["not in order"]);

    // From another machine: no key here, and a trainer that is not there.
    let stranger = Machine::new();
    let mut command = world.command(&["doctor", "--json"]);
    command.env("SPHINX_HOME", stranger.home()).env("SPHINX_TRAINER", "http://127.0.0.1:1");
    let ill = Run::of(command);
    let found = findings(&ill);
    assert_eq!(ill.code, Some(1), "{found}");
    assert_eq!(of(&found, "home")["state"], "doubtful");
    assert_eq!(of(&found, "trainer")["state"], "bad");
    assert_eq!(of(&found, "key vault")["state"], "good");
}

#[test]
fn shells_and_readers_are_served() {
    let machine = Machine::new();
    let script = machine.run(&["completions", "bash"]).succeeded().stdout;
    assert_says(&script, &["complete -F _sphinx", "evaluate-once"]);
    assert_eq!(machine.run(&["completions", "cobol"]).code, Some(2));
    machine.run(&["man", "pages"]).succeeded();
    let page = fs::read_to_string(machine.directory.path().join("pages/sphinx-train.1")).unwrap();
    assert_says(&page, &[".TH", "epsilon"]);
}
