//! What a release has left on disk is read by every later one, and programs of two releases
//! understand each other.
//!
//! `releases/VERSION` holds a home and a store of that release, a request and an answer in one shot
//! as files, and what they meant. They are never written again: a new release adds its own, by
//!
//! ```sh
//! cargo test --release --workspace --test golden -- --ignored write_those_of_this_release
//! ```
#![cfg(unix)]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod world;

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::world::{Machine, copy, program};

/// What the privacy ledger, the model, a recognition and a decrypted answer have to be.
const MEANT: &str = "meant.json";

fn releases() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/releases")
}

/// What files mean to this release.
async fn meaning(machine: &Machine) -> Value {
    let shown = machine.json(&["models", "show", "bars"]);
    let spent = machine.json(&["privacy", "show", "bars"]);
    let data = machine.json(&["privacy", "data"]);
    let seen = machine.json(&["infer", "bars", "bar.png"]);
    let evaluate = ["--model", "bars.one-shot", "--keys", "home/keys/mine.eval", "ask.bin"];
    machine.json(&[&["evaluate-once", "--output", "again.bin"], &evaluate[..]].concat());
    json!({
        "version": shown["version"],
        "network": shown["network_toml"],
        "runs": spent["runs"],
        "examples": spent["examples"],
        "epsilon": spent["epsilon"],
        "data": data,
        "class": seen[0]["class"],
        "probability": seen[0]["probability"],
        "answer": machine.json(&["decrypt", "answer.bin"]),
        "answer_again": machine.json(&["decrypt", "again.bin"]),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_every_release_mean_what_they_meant() {
    let mut replayed = 0;
    for release in fs::read_dir(releases()).unwrap().map(Result::unwrap) {
        let machine = Machine::new();
        copy(&release.path(), machine.path());
        machine.pictures();
        let machine = machine.with_services(&program()).await;
        let meant: Value =
            serde_json::from_slice(&fs::read(release.path().join(MEANT)).unwrap()).unwrap();
        let unused =
            |machine: &Machine| machine.json(&["tickets", "status"])[0]["versions"][0].clone();
        let (before, means) = (unused(&machine), meaning(&machine).await);
        let name = release.file_name();
        for field in ["version", "network", "runs", "examples", "class"] {
            assert_eq!(means[field], meant[field], "{name:?}: {field}");
        }
        // A later accountant may prove less, never more; noise of tickets moves a probability.
        let number = |value: &Value| value.as_f64().unwrap();
        assert!(number(&means["epsilon"]) <= number(&meant["epsilon"]) + 1e-9, "{name:?}");
        assert!((number(&means["probability"]) - number(&meant["probability"])).abs() < 0.02);
        for answer in ["answer", "answer_again"] {
            assert_eq!(means[answer]["class"], meant["answer"]["class"], "{name:?}: {answer}");
        }
        assert_eq!(means["data"][0]["models"], meant["data"][0]["models"], "{name:?}");
        // A kept ticket was used, and none were made.
        let tickets = |status: &Value| status["unused"].as_u64().unwrap();
        assert_eq!(tickets(&before), tickets(&unused(&machine)) + 1, "{name:?}: {before}");
        // What was spent counts, and the model is trained on.
        let less = machine.json(&["train", "--model", "bars", "--data", "data", "--epsilon", "1"]);
        assert_eq!((&less["steps"], &less["budget_exhausted"]), (&json!(0), &json!(true)));
        let further = ["--data", "data", "--epsilon", "20", "--epochs", "6"];
        let trained = machine.json(&[&["train", "--model", "bars"], &further[..]].concat());
        assert!(trained["version"].as_u64() > meant["version"].as_u64(), "{name:?}: {trained}");
        replayed += 1;
    }
    assert!(replayed > 0, "no release has files");
}

/// A model made, trained, and used in both ways.
async fn play(client: &Path, services: &Path) -> [Value; 2] {
    let machine = Machine::of(client);
    machine.pictures();
    let machine = machine.with_services(services).await;
    machine.make_model();
    let once = machine.json(&["infer", "bars", "bar.png", "--one-shot"]);
    let seen = machine.json(&["infer", "bars", "bar.png"]);
    machine.json(&["models", "history", "bars"]);
    machine.json(&["models", "delete", "bars"]);
    [once, seen].map(|answers| answers[0]["class"].clone())
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_of_the_release_and_these_understand_each_other() {
    let Some(released) = std::env::var_os("SPHINX_RELEASED").map(PathBuf::from) else {
        println!("SKIPPED: SPHINX_RELEASED names no program `sphinx` of a release");
        return;
    };
    let same = play(&program(), &program()).await;
    assert_eq!(play(&released, &program()).await, same, "a released client, these services");
    assert_eq!(play(&program(), &released).await, same, "this client, released services");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "writes into the source"]
async fn write_those_of_this_release() {
    let folder = releases().join(env!("CARGO_PKG_VERSION"));
    assert!(!folder.exists(), "{folder:?} is never written again");
    let machine = Machine::new();
    machine.pictures();
    let machine = machine.with_services(&program()).await;
    machine.make_model();
    machine.json(&["infer", "bars", "bar.png"]);
    machine.json(&["models", "bundle", "bars"]);
    machine.json(&["request", "one-shot", "bars", "bar.png", "--output", "ask.bin"]);
    let evaluate = ["--model", "bars.one-shot", "--keys", "home/keys/mine.eval", "ask.bin"];
    machine.json(&[&["evaluate-once", "--output", "answer.bin"], &evaluate[..]].concat());
    for name in ["home", "store", "ask.bin", "answer.bin", "bars.one-shot"] {
        copy(&machine.path().join(name), &folder.join(name));
    }
    let meant = serde_json::to_vec_pretty(&meaning(&machine).await).unwrap();
    fs::write(folder.join(MEANT), meant).unwrap();
}
