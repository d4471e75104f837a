//! Models whose service answered wrongly, and services that went back to an older copy.

use std::fs;

use image::GrayImage;
use serde_json::json;

use crate::world::{World, assert_says};

fn digit(world: &World) {
    let test = sphinx_mnist::load().unwrap().test;
    let digit = GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(world.machine.directory.path().join("digit.png")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_model_is_refused_with_the_reason_until_it_is_cleared() {
    let world = World::with_key().await;
    world.train_tiny(&["--privacy", "none"]).succeeded();
    digit(&world);
    world.run(&["infer", "tiny", "digit.png"]).succeeded();
    let none = world.run(&["models", "suspect"]).succeeded().stdout;
    assert_says(&none, &["no model is suspect"]);

    let mark = json!({
        "model": "tiny", "key_id": "mine", "incarnation": "00", "version": 3, "stage": 0,
        "phase": "recognition", "unix_seconds": 1_700_000_000, "build": "0.1.0 elsewhere",
    });
    world.machine.file("home/suspects/default/tiny.json", &mark.to_string());
    for command in [
        &["infer", "tiny", "digit.png"][..],
        &["infer", "tiny", "digit.png", "--one-shot"],
        &["evaluate", "tiny", "--limit", "10"],
        &["tickets", "prepare", "tiny", "--count", "1"],
    ] {
        let error = world.run(command).refused(1);
        assert_says(&error, &["tiny is suspect", "version 3 wrongly (stage 0, recognition)"]);
        assert_says(&error, &["under key mine", "sphinx models suspect tiny"]);
    }
    let refused = world.train_tiny(&["--privacy", "none"]);
    assert_eq!(refused.code, Some(1), "{}", refused.stderr);
    assert_says(&refused.stderr, &["tiny is suspect"]);
    // Nor is anything sent for other models under its key.
    let other = world.train_tiny(&["--model", "other", "--privacy", "none"]);
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    assert_says(&other.stderr, &["key mine is suspect because of model tiny"]);
    assert_eq!(world.run(&["models", "suspect", "--json"]).json(), json!([mark]));
    assert_eq!(world.run(&["models", "suspect", "other", "--json"]).json(), json!([]));
    let shown = world.run(&["models", "suspect", "tiny"]).succeeded().stdout;
    assert_says(
        &shown,
        &["tiny", "mine", "recognition", "elsewhere", "models suspect --clear MODEL"],
    );
    let cleared = world.run(&["models", "suspect", "--clear", "tiny", "--json"]).json();
    assert_eq!(cleared, json!({ "model": "tiny", "cleared": true }));
    world.run(&["infer", "tiny", "digit.png"]).succeeded();
    let again = world.run(&["models", "suspect", "--clear", "tiny"]).succeeded().stdout;
    assert_says(&again, &["is not marked"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_a_service_that_has_an_older_version_than_was_seen() {
    let world = World::with_key().await;
    world.train_tiny(&["--privacy", "none"]).succeeded();
    digit(&world);
    world.run(&["infer", "tiny", "digit.png"]).succeeded();
    let path = world.machine.home().join("seen/default/tiny");
    let seen = fs::read_to_string(&path).unwrap();
    let incarnation = seen.trim().split(' ').next().unwrap().to_owned();
    fs::write(&path, format!("{seen}\n{incarnation} 999 .\n")).unwrap();
    let error = world.run(&["infer", "tiny", "digit.png"]).refused(1);
    assert_says(&error, &["tiny is at version", "has seen version 999", "older copy"]);
    fs::write(&path, seen).unwrap();
    world.run(&["infer", "tiny", "digit.png"]).succeeded();
}
