//! A model from its first step to its end.

use std::collections::HashMap;
use std::fs;

use safetensors::SafeTensors;

use crate::world::{World, assert_says, mode};

#[tokio::test(flavor = "multi_thread")]
async fn a_model_is_trained_shown_exported_and_deleted() {
    let world = World::with_key().await;
    let first = world.train_tiny(&["--json"]).json();
    assert_eq!((first["model"].as_str(), first["version"].as_u64()), (Some("tiny"), Some(4)));
    let spent = first["epsilon"].as_f64().unwrap();
    assert!(spent > 2.5 && spent <= 3.0, "{first}");
    assert!(first["bytes_up_per_image"].as_f64().unwrap() > 100.0, "{first}");

    let models = world.run(&["models", "list", "--json"]).json();
    assert_eq!(models.as_array().unwrap().len(), 1);
    assert_eq!(
        (models[0]["weights"].as_u64(), models[0]["biases"].as_u64()),
        (Some(490), Some(10))
    );
    let shown = world.run(&["models", "show", "tiny"]).succeeded().stdout;
    assert_says(&shown, &["version  4", "key      mine", "kind = \"avg_pool\""]);

    // Trained further: more is spent, within the larger budget, and by Rényi divergences, since
    // the noise is another.
    let further =
        world.run(&["train", "--model", "tiny", "--epochs", "0.1", "--epsilon", "8", "--json"]);
    let further = further.json();
    assert!(further["version"].as_u64().unwrap() > 4, "{further}");
    let (more, steps) = (further["epsilon"].as_f64().unwrap(), further["version"].as_u64());
    assert!(more > spent && more <= 8.0, "{further}");
    let account = world.run(&["privacy", "show", "tiny", "--epsilon", "9", "--json"]).json();
    assert_eq!(account["epsilon"].as_f64(), Some(more));
    assert_eq!((account["steps"].as_u64(), account["examples"].as_u64()), (steps, Some(60_000)));
    assert!(account["steps_left"].as_u64().unwrap() > 0, "{account}");

    world.run(&["models", "export", "tiny"]).succeeded();
    let file = world.machine.directory.path().join("tiny.safetensors");
    assert_eq!(mode(&file), 0o600);
    let bytes = fs::read(&file).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let shape = |name| tensors.tensor(name).unwrap().shape().to_vec();
    assert_eq!((shape("stage0.weight"), shape("stage0.bias")), (vec![10, 49], vec![10]));
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata: &HashMap<_, _> = metadata.metadata().as_ref().unwrap();
    assert_says(&metadata["network"], &["name = \"tiny\"", "outputs = 10"]);
    // Trained biases are not the zeros they started as.
    assert!(tensors.tensor("stage0.bias").unwrap().data().iter().any(|byte| *byte != 0));
    let error = world.run(&["models", "export", "tiny"]).refused(1);
    assert_says(&error, &["tiny.safetensors exists already"]);

    let deleted = world.run(&["models", "delete", "tiny", "--json"]).json();
    assert!(fs::exists(deleted["ledger"].as_str().unwrap()).unwrap(), "the record is kept");
    let error = world.run(&["models", "show", "tiny"]).refused(1);
    assert_says(&error, &["tiny", "NotFound"]);
    assert_eq!(world.run(&["models", "list", "--json"]).json(), serde_json::json!([]));
    // The name is free again, with a budget of its own.
    let again = world.train_tiny(&["--json"]).json();
    assert_eq!(again["version"].as_u64(), Some(4));
}

#[tokio::test(flavor = "multi_thread")]
async fn exact_training_says_what_it_gives_up_and_cannot_be_undone() {
    let world = World::with_key().await;
    let run = world.train_tiny(&["--privacy", "none", "--json"]).succeeded();
    assert_says(&run.stderr, &["Differential privacy is off", "reconstructed"]);
    assert!(run.json()["epsilon"].is_null());
    let shown = world.run(&["privacy", "show", "tiny"]).succeeded().stdout;
    assert_says(&shown, &["ε none proven: in some steps not every gradient was noised"]);
    let error = world.run(&["train", "--model", "tiny", "--epochs", "0.1"]).refused(1);
    assert_says(&error, &["no epsilon is proven", "--privacy none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_training_that_contradicts_the_model_or_its_ledger() {
    let world = World::with_key().await;
    world.train_tiny(&[]).succeeded();
    let other = ["train", "--model", "tiny", "--network", "lola"];
    assert_says(&world.run(&other).refused(1), &["another network: tiny", "lola"]);
    let other = ["train", "--model", "tiny", "--key", "yours"];
    assert_says(&world.run(&other).refused(1), &["another key: mine", "yours"]);
    let other = ["train", "--model", "tiny", "--delta", "1e-6"];
    assert_says(&world.run(&other).refused(1), &["delta", "leave --delta out"]);

    // The budget of the first training is spent: nothing more is sent.
    let same = world.run(&["train", "--model", "tiny", "--epochs", "0.1", "--json"]).json();
    assert_eq!((same["steps"].as_u64(), same["budget_exhausted"].as_bool()), (Some(0), Some(true)));

    fs::remove_file(world.machine.home().join("ledgers/default/tiny.redb")).unwrap();
    let error = world.run(&["train", "--model", "tiny"]).refused(1);
    assert_says(&error, &["no privacy ledger", "tiny.redb"]);
}
