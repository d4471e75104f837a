//! Models under another key, and devices that have a read key alone.

use std::fs;
use std::time::{Duration, Instant};

use image::GrayImage;

use crate::world::{Machine, World, assert_says};

fn digit(machine: &Machine) {
    let test = sphinx_mnist::load().unwrap().test;
    let digit = GrayImage::from_raw(28, 28, test.levels(0).unwrap().to_vec()).unwrap();
    digit.save(machine.directory.path().join("digit.png")).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_gets_another_key_and_goes_on_as_it_was() {
    let world = World::with_key().await;
    world.train_tiny(&["--model", "a"]).succeeded();
    world.train_tiny(&["--model", "b"]).succeeded();
    digit(&world.machine);
    let infer = || world.run(&["infer", "a", "digit.png", "--json"]);
    let logits = infer().json()[0].clone();
    let before = world.run(&["models", "show", "a", "--json"]).json();
    let spent = world.run(&["privacy", "show", "a", "--json"]).json();
    world.run(&["models", "export", "a", "--output", "before.safetensors"]).succeeded();

    world.run(&["keys", "new", "--id", "second"]).succeeded();
    let error = world.run(&["keys", "rotate", "a", "--to", "second"]).refused(1);
    assert_says(&error, &["key second is not registered"]);
    world.run(&["keys", "register", "second"]).succeeded();
    let rotated = world.run(&["keys", "rotate", "a", "--to", "second", "--json"]).json();
    let version = before["version"].as_u64().unwrap() + 1;
    assert_eq!((&rotated["from"], &rotated["key"]), (&"mine".into(), &"second".into()));
    assert_eq!(rotated["version"], version);
    assert_eq!(rotated["left"], serde_json::json!(["b"]));
    // Again changes nothing.
    let again = world.run(&["keys", "rotate", "a", "--to", "second", "--json"]).json();
    assert_eq!((&again["from"], &again["version"]), (&"second".into(), &version.into()));

    // Nothing was spent, weights and biases are as they were, and the old key is of no use.
    let after = world.run(&["privacy", "show", "a", "--json"]).json();
    assert_eq!(after["epsilon"], spent["epsilon"]);
    world.run(&["models", "export", "a", "--output", "after.safetensors"]).succeeded();
    let file = |name: &str| fs::read(world.machine.directory.path().join(name)).unwrap();
    let tensors = |bytes: Vec<u8>| {
        // After the header, which names the version.
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        bytes[8 + header..].to_vec()
    };
    assert_eq!(tensors(file("before.safetensors")), tensors(file("after.safetensors")));
    world.run(&["keys", "revoke", "mine"]).succeeded();
    assert_eq!(infer().json()[0]["class"], logits["class"]);
    let more = world.train_tiny(&["--model", "a"]);
    more.succeeded();
    assert_eq!(world.run(&["models", "show", "a", "--json"]).json()["key"], "second");
    // The trainer asks the key vault again when its last word is five seconds old.
    let begun = Instant::now();
    let refused = loop {
        let run = world.train_tiny(&["--model", "b", "--privacy", "none"]);
        if run.code == Some(1) {
            break run.stderr;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", run.stdout);
    };
    assert_says(&refused, &["key mine of tenant default was revoked"]);
    // A model of a revoked key is taken to a new one, which is made for it.
    let rotated = world.run(&["keys", "rotate", "b", "--json"]).json();
    assert!(rotated["key"].as_str().unwrap().starts_with("key-"), "{rotated}");
    world.run(&["infer", "b", "digit.png"]).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_with_a_read_key_recognises_and_does_nothing_else() {
    let world = World::with_key().await;
    world.train_tiny(&["--model", "a", "--privacy", "none"]).succeeded();
    world.run(&["keys", "export-read", "a", "a.read"]).succeeded();
    let device = Machine::new();
    digit(&device);
    digit(&world.machine);
    let error = world.run_on(&device, &["infer", "a", "digit.png"]).refused(1);
    assert_says(&error, &["key mine has no secret half", "import-read"]);
    let file = world.machine.directory.path().join("a.read");
    let file = file.to_str().unwrap();
    let other = world.run_on(&device, &["keys", "import-read", file, "--tenant", "other"]);
    assert_says(&other.refused(1), &["a model of tenant default, this is other"]);
    world.run_on(&device, &["keys", "import-read", file]).succeeded();
    let infer = ["infer", "a", "digit.png", "--json"];
    let here = world.run_on(&device, &infer).json();
    assert_eq!(here[0]["class"], world.run(&infer).json()[0]["class"]);
    // Four steps make nobody sure of a digit.
    let table = world.run_on(&device, &["infer", "a", "digit.png", "--reject", "1"]);
    assert_says(&table.succeeded().stdout, &["unsure"]);
    world.run_on(&device, &["tickets", "status", "a"]).succeeded();
    let error = world.run_on(&device, &["models", "export", "a", "--output", "a.st"]).refused(1);
    assert_says(&error, &["key mine has no secret half"]);

    // Under another key it opens nothing more until the owner exports again.
    world.run(&["keys", "rotate", "a"]).succeeded();
    let error = world.run_on(&device, &infer).refused(1);
    assert_says(&error, &["does not open"]);
    world.run(&["keys", "export-read", "a", "again.read"]).succeeded();
    let file = world.machine.directory.path().join("again.read");
    world.run_on(&device, &["keys", "import-read", file.to_str().unwrap()]).succeeded();
    world.run_on(&device, &infer).succeeded();
}
