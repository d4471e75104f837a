//! A linear network in one shot: with keys that only pack, in batches without any, and by files
//! without a service.

use std::fs;
use std::path::PathBuf;

use image::GrayImage;
use serde_json::Value;

use crate::world::{Run, World, assert_says};

/// Whether probabilities are the same but for noise.
fn assert_close(what: &str, got: &Value, clear: &Value) {
    let (got, clear) = (got["probabilities"].as_array(), clear["probabilities"].as_array());
    let (got, clear) = (got.unwrap(), clear.unwrap());
    assert_eq!(got.len(), clear.len(), "{what}");
    for (got, clear) in got.iter().zip(clear) {
        let (got, clear) = (got.as_f64().unwrap(), clear.as_f64().unwrap());
        assert!((got - clear).abs() < 0.02, "{what}: {got} instead of {clear}");
    }
}

fn save_digits(world: &World) {
    let test = sphinx_mnist::load().unwrap().test;
    for index in 0..3 {
        let digit = GrayImage::from_raw(28, 28, test.levels(index).unwrap().to_vec()).unwrap();
        digit.save(world.machine.directory.path().join(format!("{index}.png"))).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn linear_models_are_asked_in_one_shot_in_every_way() {
    let world = World::start().await;
    let made = world.run(&["keys", "new", "--id", "mine", "--evaluation=packing", "--json"]).json();
    let bytes = made["evaluation"]["bytes"].as_u64().unwrap();
    assert!(bytes <= 1_000_000, "{bytes}");
    world.run(&["keys", "register"]).succeeded();
    world.train_tiny(&[]).succeeded();
    save_digits(&world);
    let files = ["0.png", "1.png", "2.png"];
    let infer = |more: &[&str]| {
        world.run(&[&["infer", "tiny", "--json"], &files[..], more].concat()).json()
    };
    let (clear, packed, batch) =
        (infer(&[]), infer(&["--one-shot"]), infer(&["--one-shot", "--batch"]));
    for index in 0..3 {
        assert_close("one by one", &packed[index], &clear[index]);
        assert_close("a batch", &batch[index], &clear[index]);
    }
    let evaluate = |more: &[&str]| {
        world.run(&[&["evaluate", "tiny", "--limit", "200", "--json"], more].concat()).json()
    };
    let accuracy = |json: &Value| json["accuracy"].as_f64().unwrap();
    let clear_accuracy = accuracy(&evaluate(&[]));
    for more in [&["--one-shot"][..], &["--one-shot", "--batch"]] {
        let evaluation = evaluate(more);
        // Two images in a hundred lie where noise decides: this network has learnt little.
        assert!((accuracy(&evaluation) - clear_accuracy).abs() <= 0.02, "{more:?}");
        assert_eq!(evaluation["preparing_bytes_up"], 0, "{more:?}");
        assert!(evaluation["recognising_bytes_up"].as_u64().unwrap() > 10_000, "{more:?}");
    }
    let canaries = ["infer", "tiny", "0.png", "--one-shot", "--canaries", "0.5", "--json"];
    world.run(&canaries).succeeded();

    by_files(&world, &clear[0]);
    refused(&world);
}

/// Request, evaluation and answer as files, no service within reach.
fn by_files(world: &World, clear: &Value) {
    let request = ["request", "one-shot", "tiny", "0.png", "--output", "ask.bin"];
    world.run(&request).succeeded();
    let error = world.run(&request).refused(1);
    assert_says(&error, &["ask.bin", "exists"]);
    world.run(&["models", "bundle", "tiny"]).succeeded();
    let answered = offline(world, "ask.bin", "tiny.one-shot", &keys(world), "answer.bin");
    let answered = answered.succeeded();
    assert!(answered.stdout.contains("answer.bin"), "{}", answered.stdout);
    let decrypted = world.machine.run(&["decrypt", "answer.bin", "--json"]).json();
    assert_close("files", &decrypted, clear);
}

fn keys(world: &World) -> String {
    world.machine.home().join("keys/mine.eval").to_str().unwrap().to_owned()
}

fn offline(world: &World, request: &str, model: &str, keys: &str, output: &str) -> Run {
    let arguments =
        ["evaluate-once", request, "--model", model, "--keys", keys, "--output", output];
    world.machine.run(&arguments)
}

/// Files that are damaged, swapped, cut short or of another kind.
fn refused(world: &World) {
    let directory = world.machine.directory.path().to_owned();
    let path = |name: &str| -> PathBuf { directory.join(name) };
    let altered = |from: &str, to: &str, change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path(from)).unwrap();
        change(&mut bytes);
        fs::write(path(to), bytes).unwrap();
    };
    altered("ask.bin", "cut.bin", &|bytes| bytes.truncate(bytes.len() / 2));
    altered("ask.bin", "changed.bin", &|bytes| *bytes.last_mut().unwrap() ^= 1);
    altered("ask.bin", "newer.bin", &|bytes| bytes[8] = 9);
    altered("ask.bin", "empty.bin", &|bytes| bytes.clear());
    altered("home/keys/mine.eval", "cut.eval", &|bytes| bytes.truncate(1000));
    altered("home/keys/mine.eval", "empty.eval", &|bytes| bytes.clear());
    let own = keys(world);
    for (request, model, keys, says) in [
        ("cut.bin", "tiny.one-shot", own.as_str(), "bytes instead of"),
        ("changed.bin", "tiny.one-shot", &own, "checksum"),
        ("newer.bin", "tiny.one-shot", &own, "it has format 9, this program reads [1]"),
        ("empty.bin", "tiny.one-shot", &own, "0 bytes that are no record"),
        ("tiny.one-shot", "tiny.one-shot", &own, "it is a \"one-shot-model\""),
        ("ask.bin", "ask.bin", &own, "it is a \"one-shot-request\""),
        ("ask.bin", "tiny.one-shot", "cut.eval", "evaluation keys"),
        ("ask.bin", "tiny.one-shot", "empty.eval", "evaluation keys"),
        ("ask.bin", "tiny.one-shot", "nowhere.eval", "nowhere.eval"),
    ] {
        let error = offline(world, request, model, keys, "no.bin").refused(1);
        assert_says(&error, &[says]);
        assert!(!path("no.bin").exists(), "{request} {model} {keys}");
    }
    // Another key's, and an answer that is none.
    world.run(&["keys", "new", "--id", "other", "--evaluation=packing"]).succeeded();
    let other = own.replace("mine.eval", "other.eval");
    let error = offline(world, "ask.bin", "tiny.one-shot", &other, "no.bin").refused(1);
    assert_says(&error, &["the request is for evaluation keys"]);
    let error = world.machine.run(&["decrypt", "ask.bin"]).refused(1);
    assert_says(&error, &["no answer in one shot"]);
    for (arguments, says) in [
        (&["keys", "new", "--evaluation=small"][..], "standard or packing"),
        (&["infer", "tiny", "0.png", "--batch"], "--one-shot"),
    ] {
        let run = world.run(arguments);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert_says(&run.stderr, &[says]);
    }
    // One version on, the file is of the version before.
    world.run(&["train", "--model", "tiny", "--epochs", "0.1", "--epsilon", "8"]).succeeded();
    world.run(&["request", "one-shot", "tiny", "0.png", "--output", "newest.bin"]).succeeded();
    let error = offline(world, "newest.bin", "tiny.one-shot", &own, "no.bin").refused(1);
    assert_says(&error, &["the request is for version"]);
}
