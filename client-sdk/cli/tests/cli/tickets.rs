//! Tickets that outlive the command: prepared, used, damaged, orphaned, cleared.

use std::fs;
use std::path::PathBuf;

use image::GrayImage;
use serde_json::{Value, json};

use crate::world::{Machine, World, assert_says};

/// A digit beside the user, as a picture.
fn picture(world: &World, name: &str, index: usize) {
    let test = sphinx_mnist::load().unwrap().test;
    let digit = GrayImage::from_raw(28, 28, test.levels(index).unwrap().to_vec()).unwrap();
    digit.save(world.machine.directory.path().join(name)).unwrap();
}

fn status(world: &World) -> Value {
    world.run(&["tickets", "status", "--json"]).json()
}

/// Unused, used and lost tickets of all versions, and how many versions there are.
fn counts(status: &Value) -> [u64; 4] {
    let versions = status[0]["versions"].as_array().unwrap();
    let sum = |field| versions.iter().map(|version| version[field].as_u64().unwrap()).sum();
    assert!(versions.iter().all(|version| version["in_use"] == 0), "{status}");
    [sum("unused"), sum("used"), sum("lost"), versions.len() as u64]
}

/// Files of the store of the model `tiny`.
fn blocks(world: &World) -> Vec<PathBuf> {
    let directory = world.machine.home().join("tickets/default/tiny/mine");
    let paths = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|name| name == "tickets")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_outlive_the_command_and_are_used_one_by_one() {
    let world = World::with_key().await;
    world.train_tiny(&[]).succeeded();
    picture(&world, "a.png", 0);
    assert_eq!(status(&world), json!([]));
    let none = world.run(&["tickets", "status"]).succeeded().stdout;
    assert_says(&none, &["no tickets", "tickets prepare MODEL"]);

    let prepared = world.run(&["tickets", "prepare", "tiny", "--count", "20", "--json"]).json();
    let figures = [&prepared["prepared"], &prepared["unused"], &prepared["version"]];
    assert_eq!(figures, [20, 20, 4]);
    assert!(prepared["bytes_up"].as_u64() > Some(0), "{prepared}");
    assert_eq!(counts(&status(&world)), [20, 0, 0, 1]);

    // Every run takes what it needs, gives the rest of its lease back, and prepares nothing.
    for run in 1..=3 {
        world.run(&["infer", "tiny", "a.png", "--json"]).succeeded();
        assert_eq!((counts(&status(&world)), blocks(&world).len()), ([20 - run, run, 0, 1], 1));
    }
    let table = world.run(&["tickets", "status", "tiny"]).succeeded().stdout;
    assert_says(&table, &["MODEL", "UNUSED", "IN USE", "LOST", "tiny", "mine", "17"]);

    // More images than tickets: a block is prepared and used together with what is left.
    let many = vec!["a.png"; 30];
    let run = world.run(&[&["infer", "tiny", "--json"], many.as_slice()].concat());
    let waited: Value = serde_json::from_str(run.stderr.lines().last().unwrap()).unwrap();
    assert!(waited["waits"].as_u64() >= Some(1), "{waited}");
    assert!(waited["waited_seconds"].as_f64() > Some(0.0), "{waited}");
    assert_eq!(run.json().as_array().unwrap().len(), 30);
    let [unused, _, lost, versions] = counts(&status(&world));
    assert_eq!((unused, lost, versions), (17 + 2048 - 30, 0, 1));
    let more = world.run(&["tickets", "prepare", "tiny", "--count", "5"]).succeeded().stdout;
    assert_says(&more, &["5 tickets prepared for tiny at version 4", "2040 unused"]);

    // A damaged block is put aside, and the rest serves.
    let largest = blocks(&world).into_iter().max_by_key(|path| fs::metadata(path).unwrap().len());
    fs::write(largest.unwrap(), "no tickets any more").unwrap();
    world.run(&["infer", "tiny", "a.png"]).succeeded();
    let damaged = status(&world);
    assert_eq!((damaged[0]["set_aside"].as_u64(), counts(&damaged)[0]), (Some(1), 4));
    let text = world.run(&["tickets", "status"]).succeeded().stdout;
    assert_says(&text, &["tiny: 1 damaged files put aside", "tickets clear tiny"]);

    let cleared = world.run(&["tickets", "clear", "tiny", "--json"]).json();
    assert!(cleared["blocks"].as_u64() >= Some(2) && cleared["bytes"].as_u64() > Some(0));
    let none = world.run(&["tickets", "status"]).succeeded().stdout;
    assert_says(&none, &["no tickets"]);
    // The next one prepares again.
    world.run(&["infer", "tiny", "a.png"]).succeeded();
    assert_eq!(counts(&status(&world))[..3], [2047, 1, 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tickets_of_other_versions_and_deleted_models_are_not_used() {
    let world = World::with_key().await;
    world.train_tiny(&["--privacy", "none"]).succeeded();
    picture(&world, "a.png", 0);
    world.run(&["tickets", "prepare", "tiny", "--count", "20"]).succeeded();
    // Repairing 20 tickets of so small a network is dearer than preparing some.
    world.train_tiny(&["--model", "tiny", "--privacy", "none"]).succeeded();
    let old = status(&world);
    assert_eq!(
        (&old[0]["newest"], &old[0]["versions"][0]["version"]),
        (&json!({"version": 6}), &json!(3))
    );
    world.run(&["infer", "tiny", "a.png"]).succeeded();
    let new = status(&world);
    assert_eq!(counts(&new), [2047, 1, 0, 1]);
    assert_eq!(new[0]["versions"][0]["version"], 6);

    world.run(&["models", "delete", "tiny"]).succeeded();
    let error = world.run(&["infer", "tiny", "a.png"]).refused(1);
    assert_says(&error, &["tiny", "NotFound"]);
    let deleted = status(&world);
    assert_eq!(deleted[0]["newest"], "gone");
    assert_eq!(deleted[0]["versions"][0]["of_deleted_model"], true);
    let text = world.run(&["tickets", "status"]).succeeded().stdout;
    assert_says(&text, &["6 (deleted)", "the model was deleted", "tickets clear tiny"]);

    // Another model of that name and version: nothing of the old one is used.
    world.train_tiny(&["--privacy", "none"]).succeeded();
    let again = status(&world);
    assert_eq!((again[0]["newest"].clone(), counts(&again)[0]), (json!({"version": 3}), 2047));
    assert_eq!(again[0]["versions"][0]["of_deleted_model"], true);
    world.run(&["infer", "tiny", "a.png"]).succeeded();
    let own = status(&world);
    assert_eq!(counts(&own), [2047, 1, 0, 1]);
    assert_eq!(own[0]["versions"][0]["of_deleted_model"], false);

    // Clearing asks no service.
    world.run(&["models", "delete", "tiny"]).succeeded();
    let cleared = world.machine.run(&["tickets", "clear"]).succeeded().stdout;
    assert_says(&cleared, &["1 blocks of tickets deleted"]);
    assert!(blocks(&world).is_empty());
    let error = world.run(&["tickets", "prepare", "tiny"]).refused(1);
    assert_says(&error, &["tiny", "NotFound"]);
}

#[test]
fn rejects_names_and_counts_that_are_none() {
    let machine = Machine::new();
    assert_says(&machine.run(&["tickets", "clear", "a/b"]).refused(2), &["a/b"]);
    let zero = machine.run(&["tickets", "prepare", "tiny", "--count", "0"]);
    assert_eq!(zero.code, Some(2));
    assert_says(&zero.stderr, &["--count", "0"]);
}
