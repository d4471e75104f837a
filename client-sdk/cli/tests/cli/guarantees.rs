//! What a training promises, what it no longer does, and options that make no sense.

use std::fs;

use crate::world::{TINY, World, assert_says};

const NONE: &str = "ε none proven: in some steps not every gradient was noised, so one image may";

#[tokio::test(flavor = "multi_thread")]
async fn exact_biases_leave_no_epsilon_wherever_one_is_stated() {
    let world = World::with_key().await;
    world.train_tiny(&[]).succeeded();
    let before = world.run(&["privacy", "show", "tiny", "--json"]).json();
    assert!(before["epsilon"].as_f64().is_some() && before["epsilon_note"].is_null(), "{before}");

    let further = ["train", "--model", "tiny", "--epochs", "0.1", "--bias-noise", "off"];
    let run = world.run(&further).succeeded();
    assert_says(&run.stderr, &["no epsilon is proven", "one image changes more than its"]);
    assert_says(&run.stdout, &["images/s  ε none proven", NONE]);
    let json = world.run(&[&further[..], &["--json"]].concat()).json();
    assert!(json["epsilon"].is_null() && json["epsilon_classical"].is_null(), "{json}");
    assert_says(json["epsilon_note"].as_str().unwrap(), &["none proven", "not every gradient"]);

    let shown = world.run(&["privacy", "show", "tiny"]).succeeded().stdout;
    assert_says(&shown, &[NONE]);
    let shown = world.run(&["privacy", "show", "tiny", "--json"]).json();
    assert!(shown["epsilon"].is_null() && shown["epsilon_left"].is_null(), "{shown}");
    assert_says(shown["epsilon_note"].as_str().unwrap(), &["none proven"]);
    assert_eq!(shown["runs"][0]["steps"].as_u64(), Some(4));
    assert!(shown["runs"][1]["noise_multiplier"].is_null(), "{shown}");

    // For good: noise does not bring it back.
    let error = world.run(&["train", "--model", "tiny", "--epochs", "0.1"]).refused(1);
    assert_says(&error, &["no epsilon is proven"]);
}

/// The tiny network for a few steps at ε = 2.
const RECIPE: &str = r#"
name = "tiny-eps2"
description = "A tiny classifier"
network = "tiny.toml"
seeds = [4]

[privacy.budget]
epsilon = 2.0
delta = 1e-5
clipping_norm = 0.1

[training]
epochs = 0.1
blocks = 1
optimizer = { sgd = { momentum = 0.9, nesterov = false } }
learning_rate = 24.0
decay = "constant"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_without_noise_on_its_biases_announces_no_epsilon() {
    let world = World::with_key().await;
    world.machine.file("tiny.toml", TINY);
    let file = world.machine.file("recipe.toml", RECIPE);
    let train = |flags: &[&str]| world.run(&[&["train", "--recipe", &file], flags].concat());
    let line =
        |stdout: &str| stdout.lines().find(|line| line.starts_with("recipe ")).unwrap().to_owned();
    let noised = line(&train(&["--model", "a"]).succeeded().stdout);
    assert_says(&noised, &["4 steps", "ε = ", "RDP", "classical"]);
    let exact = line(&train(&["--model", "b", "--bias-noise", "off"]).succeeded().stdout);
    assert_says(&exact, &["4 steps", "ε none proven: the biases' gradients are not noised"]);
    assert!(!exact.contains("ε = "), "{exact}");
    let open = line(&train(&["--model", "c", "--privacy", "none"]).succeeded().stdout);
    assert!(open.ends_with("no privacy") && !open.contains('ε'), "{open}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_budget_is_remembered_and_only_raised_explicitly() {
    let world = World::with_key().await;
    world.train_tiny(&["--epsilon", "2"]).succeeded();
    let shown = || world.run(&["privacy", "show", "tiny", "--json"]).json();
    let first = shown();
    assert_eq!(first["budget"].as_f64(), Some(2.0), "{first}");
    let text = world.run(&["privacy", "show", "tiny"]).succeeded().stdout;
    assert_says(&text, &["of a budget of 2, that is 0 more steps"]);

    // Without a word about ε, by itself or by a recipe, the budget stands.
    world.machine.file("tiny.toml", TINY);
    let larger =
        world.machine.file("recipe.toml", &RECIPE.replace("epsilon = 2.0", "epsilon = 4.0"));
    let further = ["train", "--model", "tiny", "--epochs", "0.1", "--json"];
    for more in [&[][..], &["--recipe", &larger]] {
        let again = world.run(&[&further[..], more].concat()).json();
        assert_eq!(
            (again["steps"].as_u64(), again["budget_exhausted"].as_bool()),
            (Some(0), Some(true)),
            "{again}"
        );
    }
    assert_eq!(shown(), first);
    let other = world.run(&["privacy", "show", "tiny", "--epsilon", "5", "--json"]).json();
    assert_eq!(other["budget"].as_f64(), Some(5.0));

    // Steps with other noise count by Rényi divergences, which give away much where steps are few.
    let raised = world.run(&[&further[..], &["--epsilon", "6"]].concat()).json();
    assert!(raised["steps"].as_u64().unwrap() > 0, "{raised}");
    assert!(raised["epsilon"].as_f64().unwrap() <= 6.0, "{raised}");
    assert_eq!(shown()["budget"].as_f64(), Some(6.0));
}

#[tokio::test(flavor = "multi_thread")]
async fn averaging_and_the_expected_batch_are_choices_of_a_training() {
    let world = World::with_key().await;
    let trained = world.train_tiny(&["--averaging", "0.9", "--batch", "1500", "--json"]).json();
    // 6000 images in batches of 1500, and the adoption.
    assert_eq!((trained["steps"].as_u64(), trained["version"].as_u64()), (Some(4), Some(5)));
    assert_eq!(trained["averaged"].as_bool(), Some(true));
    let shown = world.run(&["privacy", "show", "tiny", "--json"]).json();
    assert_eq!(shown["steps"].as_u64(), Some(4), "an adoption is no step: {shown}");
    assert_eq!(shown["runs"].as_array().unwrap().len(), 1);
    assert_eq!(shown["runs"][0]["sampling_rate"].as_f64(), Some(0.025));
    assert_eq!(shown["epsilon"], trained["epsilon"]);

    let error = world.run(&["train", "--model", "tiny", "--batch", "2040"]).refused(1);
    assert_says(&error, &["an expected batch of 2040 overflows 1 blocks", "lower it to 17"]);
    let error = world.run(&["train", "--model", "tiny", "--batch", "2049"]).refused(1);
    assert_says(&error, &["an expected batch of 2049 does not fit in 1 blocks"]);
    let blocks = world.run(&["train", "--model", "tiny", "--blocks", "1000000000"]).refused(1);
    assert_says(&blocks, &["1000000000 blocks", "more than 31"]);
    let shards =
        world.run(&["train", "--model", "tiny", "--blocks", "2", "--shards", "3"]).refused(1);
    assert_says(&shards, &["3 shards for steps of 2 blocks", "at most 2 (--shards)"]);
    let warmup = world.run(&["train", "--model", "tiny", "--epochs", "0.1", "--warmup", "9"]);
    assert_says(&warmup.refused(1), &["a warm-up of 9 steps leaves nothing of 4 steps"]);
    let larger = ["train", "--model", "tiny", "--batch", "60001", "--blocks", "31"];
    assert_says(&world.run(&larger).refused(1), &["60001", "60000, the number of examples"]);
    assert_eq!(
        world.run(&["models", "show", "tiny", "--json"]).json()["version"].as_u64(),
        Some(5)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn copies_take_the_slots_of_other_images() {
    let world = World::with_key().await;
    let copies = ["--augment", "4", "--shift", "2", "--epochs", "0.02"];
    let epochs = ["--epochs", "0.02", "--json"];
    let plan = ["privacy", "plan", "--augment", "4"];
    let plan = world.run(&[&plan[..], &epochs].concat()).json();
    let batch = plan["expected_batch"].as_u64().unwrap();
    assert!(350 < batch && batch < 512, "{plan}");
    let network = world.machine.file("tiny.toml", TINY);
    let train = ["train", "--network", &network, "--json"];
    let trained = world.run(&[&train[..], &copies].concat()).json();
    assert_eq!(trained["steps"], plan["steps"]);
    let shown = world.run(&["privacy", "show", "tiny", "--json"]).json();
    assert_eq!(shown["runs"][0]["sampling_rate"], plan["sampling_rate"]);
    assert_eq!(shown["runs"][0]["noise_multiplier"], plan["noise_multiplier"]);
    assert_eq!(shown["epsilon"], trained["epsilon"]);

    let further = ["train", "--model", "tiny", "--epochs", "0.02"];
    let refuse = |flags: &[&str]| world.run(&[&further[..], flags].concat());
    let error = refuse(&["--augment", "4", "--batch", "600"]).refused(1);
    assert_says(&error, &["600 does not fit in 1 blocks", "in 4 copies of each example"]);
    assert_says(&refuse(&["--shift", "1"]).refused(2), &["--shift", "--augment"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delta_above_one_over_the_examples_is_warned_about_and_trains() {
    let world = World::with_key().await;
    let run = world.train_tiny(&["--delta", "1e-4"]).succeeded();
    assert_says(
        &run.stderr,
        &[
            "warning: delta 1e-4 is above 1/60000",
            "publishes one example at random satisfies it",
            "choose a smaller delta",
        ],
    );
    assert_says(&run.stdout, &["at δ = 1e-4"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_ledgers_that_were_edited_exchanged_rolled_back_or_lost() {
    let world = World::with_key().await;
    world.train_tiny(&[]).succeeded();
    world.train_tiny(&["--model", "other"]).succeeded();
    let ledgers = world.machine.home().join("ledgers/default");
    let (ledger, other) = (ledgers.join("tiny.redb"), ledgers.join("other.redb"));
    let old = fs::read(&ledger).unwrap();
    let further = ["train", "--model", "tiny", "--epochs", "0.1", "--epsilon", "8"];
    world.run(&further).succeeded();
    let good = fs::read(&ledger).unwrap();
    let version = || world.run(&["models", "show", "tiny", "--json"]).json()["version"].as_u64();
    let trained = version();

    // A noise multiplier made larger in place, as with an editor.
    let multiplier = b"\"noise_multiplier\":";
    let at = good.windows(multiplier.len()).rposition(|window| window == multiplier).unwrap();
    let mut edited = good.clone();
    edited[at + multiplier.len()] = b'9';
    for (contents, words) in [
        (&edited, "is damaged or was edited"),
        (&fs::read(&other).unwrap(), "is for model other, training needs tiny"),
        (&old, "an old copy was put back"),
    ] {
        fs::write(&ledger, contents).unwrap();
        assert_says(&world.run(&further).refused(1), &[words]);
        assert_eq!(version(), trained);
    }
    // Lost: what was spent is unknown, so nothing starts from zero.
    fs::remove_file(&ledger).unwrap();
    for command in [&further[..], &["privacy", "show", "tiny"]] {
        assert_says(&world.run(command).refused(1), &["no privacy ledger at", "tiny.redb"]);
        assert!(!ledger.exists());
    }
    assert_eq!(version(), trained);
    fs::write(&ledger, &good).unwrap();
    world.run(&further).succeeded();
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_options_that_make_no_sense_before_anything_is_made() {
    let world = World::with_key().await;
    for options in [
        ["--epsilon", "0"],
        ["--epsilon", "-1"],
        ["--epsilon", "inf"],
        ["--epsilon", "NaN"],
        ["--delta", "0"],
        ["--delta", "1"],
        ["--delta", "-1e-5"],
        ["--delta", "NaN"],
        ["--clip", "0"],
        ["--clip", "-0.1"],
        ["--clip", "inf"],
        ["--clip", "NaN"],
        ["--batch", "0"],
        ["--batch", "many"],
        ["--blocks", "0"],
        ["--epochs", "0"],
        ["--epochs", "NaN"],
        ["--averaging", "1"],
        ["--averaging", "-0.1"],
        ["--averaging", "NaN"],
        ["--bias-noise", "maybe"],
        ["--augment", "0"],
        ["--augment", "3"],
        ["--augment", "32"],
        ["--shift", "0"],
        ["--shift", "5"],
    ] {
        // As one word: a negative number is no option then.
        let option = format!("{}={}", options[0], options[1]);
        assert_eq!(world.train_tiny(&[&option]).code, Some(2), "{option}");
    }
    let error = world.train_tiny(&["--privacy", "none", "--bias-noise", "off"]).refused(2);
    assert_says(&error, &["--privacy none adds no noise", "--bias-noise"]);
    assert_eq!(world.run(&["models", "list", "--json"]).json(), serde_json::json!([]));
}
