//! `sphinx recipes`, and `sphinx train --recipe`, on recipes that take seconds.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::world::{Machine, TINY, World, assert_says};

/// The tiny network for a few steps on the first images.
const RECIPE: &str = r#"
name = "tiny-eps3"
description = "A tiny classifier"
network = "tiny.toml"
seeds = [4, 5, 6]

[privacy.budget]
epsilon = 3.0
delta = 1e-5
clipping_norm = 0.1

[training]
epochs = 1.5
blocks = 1
optimizer = { sgd = { momentum = 0.9, nesterov = false } }
learning_rate = 24.0
decay = { cosine = { floor = 0.05 } }

[published]
accuracy = 0.75
deviation = 0.01
minutes = 2.0
megabytes = 30.0
"#;

/// Writes the recipe with its network beside it, away from the working directory.
fn recipe(machine: &Machine, text: &str) -> String {
    machine.file("kitchen/tiny.toml", TINY);
    machine.file("kitchen/recipe.toml", text)
}

#[test]
fn recipes_are_listed_and_shown() {
    let machine = Machine::new();
    let list = machine.run(&["recipes", "list", "--json"]).json();
    let list = list.as_array().unwrap();
    let names: Vec<&str> = list.iter().map(|row| row["name"].as_str().unwrap()).collect();
    assert!(names.contains(&"scatter-linear-eps2") && names.contains(&"sphinx-mnist-no-privacy"));
    let text = machine.run(&["recipes", "list"]).succeeded().stdout;
    assert_says(&text, &["EPSILON", "ACCURACY", "MINUTES"]);
    assert_says(&text, &names);
    for name in names {
        let shown = machine.run(&["recipes", "show", name]).succeeded().stdout;
        assert_says(&shown, &["[training]", "seeds = [", "operating system's generator"]);
        let json = machine.run(&["recipes", "show", name, "--json"]).json();
        assert_eq!(json["name"].as_str(), Some(name));
    }
    let file = recipe(&machine, RECIPE);
    let shown = machine.run(&["recipes", "show", &file]).succeeded().stdout;
    assert_says(&shown, &["75.00 ± 1.00 %", "2 minutes and 30 MB", &format!("run {file}")]);
}

#[test]
fn rejects_recipes_that_are_none() {
    let machine = Machine::new();
    for command in ["show", "run"] {
        let error = machine.run(&["recipes", command, "scatter"]).refused(2);
        assert_says(&error, &["\"scatter\" is neither a built-in recipe", "scatter-linear-eps2"]);
    }
    let error = machine.run(&["train", "--recipe", "nothing.toml"]).refused(2);
    assert_says(&error, &["nothing.toml", "neither a built-in recipe"]);
    for command in [&["recipes", "run"][..], &["train", "--recipe"]] {
        let error = machine.run(&[command, &["fashion-linear-eps2"]].concat()).refused(2);
        assert_says(
            &error,
            &["other images than the bundled ones", "--data PATH", "Fashion-MNIST"],
        );
    }
    for (from, to, says) in [
        ("learning_rate", "lr", "unknown field `lr`"),
        ("epsilon = 3.0", "epsilon = -3.0", "epsilon -3"),
        ("seeds = [4, 5, 6]", "seeds = []", "at least one seed"),
        ("tiny.toml", "other.toml", "\"other.toml\" is neither built in"),
    ] {
        let file = recipe(&machine, &RECIPE.replace(from, to));
        let run = machine.run(&["recipes", "run", &file]);
        assert_eq!(run.code, Some(2), "{}", run.stderr);
        assert_says(&run.stderr, &[says]);
    }
    let file = recipe(&machine, RECIPE);
    let error = machine.run(&["recipes", "run", &file, "--seeds", "4"]).refused(2);
    assert_says(&error, &["--seeds 4", "tiny-eps3 has 3 seeds"]);
}

#[test]
fn a_recipe_is_run_with_its_seeds() {
    let machine = Machine::new();
    let file = recipe(&machine, RECIPE);
    let arguments = ["recipes", "run", &file, "--limit", "4000", "--seeds", "2"];
    let run = machine.run(&[&arguments[..], &["--json"]].concat()).succeeded();
    // Beside the result: what it will cost, and a line as soon as a seed is done.
    assert_says(
        &run.stderr,
        &[
            "recipe tiny-eps3: 4 steps, about 2 minutes",
            "ε = 3.000 (RDP 3.",
            "seed 4: ",
            "seed 5: ",
        ],
    );
    let outcome = run.json();
    let runs = outcome["runs"].as_array().unwrap();
    let seeds: Vec<u64> = runs.iter().map(|run| run["seed"].as_u64().unwrap()).collect();
    assert_eq!(seeds, [4, 5]);
    assert_eq!(
        (outcome["failed"].as_array().unwrap().len(), outcome["interrupted"].as_bool()),
        (0, Some(false))
    );
    let accuracy = |run: &Value| run["accuracy"].as_f64().unwrap();
    let (first, second) = (accuracy(&runs[0]), accuracy(&runs[1]));
    assert!(first > 0.2 && second > 0.2, "{outcome}");
    let (mean, deviation) = ((first + second) / 2.0, (first - second).abs() / 2f64.sqrt());
    let spread = |field: &str| outcome["accuracy"][field].as_f64().unwrap();
    assert!(
        (spread("mean") - mean).abs() < 1e-12 && (spread("deviation") - deviation).abs() < 1e-12
    );
    for run in runs {
        let number = |field: &str| run[field].as_f64().unwrap();
        assert!(number("epsilon") <= 3.0 && number("epsilon") > 2.5, "{run}");
        assert!(number("epsilon_classical") > number("epsilon"), "{run}");
        assert!(number("megabytes_up") > 0.0 && number("minutes") > 0.0, "{run}");
    }
    let text = machine.run(&["recipes", "run", &file, "--limit", "4000", "--seeds", "1"]);
    let text = text.succeeded().stdout;
    assert_says(
        &text,
        &[
            "accuracy",
            "4000 test images, 1 seed",
            "ε = ",
            "classical",
            "MB per training",
            "published",
        ],
    );
}

#[test]
fn a_seed_that_fails_is_reported_and_the_rest_goes_on() {
    let machine = Machine::new();
    let absurd = RECIPE.replace("learning_rate = 24.0", "learning_rate = 3e38");
    let file = recipe(&machine, &absurd);
    let arguments = ["recipes", "run", &file, "--limit", "4000", "--seeds", "2", "--json"];
    let run = machine.run(&arguments);
    assert_eq!(run.code, Some(1), "{}", run.stderr);
    assert_says(&run.stderr, &["seed 4 failed", "seed 5 failed", "2 of 2 seeds failed"]);
    let outcome: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(outcome["failed"].as_array().unwrap().len(), 2);
    assert!(outcome["accuracy"].is_null());
}

#[test]
fn ctrl_c_sums_up_the_seeds_done() {
    let machine = Machine::new();
    let file = recipe(&machine, &RECIPE.replace("epochs = 1.5", "epochs = 4.0"));
    let temporary = machine.directory.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut run = machine
        .command(&["recipes", "run", &file, "--limit", "4000"])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(run.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.starts_with("seed 5 (2 of 3)")));
    let pid = Pid::from_raw(run.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    let rest: Vec<String> = lines.collect();
    assert_says(&rest.join("\n"), &["seed 4: ", "1 seed"]);
    assert!(!rest.iter().any(|line| line.starts_with("seed 6")), "{rest:?}");
    let ended = run.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "files were left behind");
}

#[tokio::test(flavor = "multi_thread")]
async fn train_follows_a_recipe_and_flags_override_it() {
    let world = World::with_key().await;
    let short = RECIPE.replace("epochs = 1.5", "epochs = 0.1");
    let file = recipe(&world.machine, &short);
    let run = world.run(&["train", "--recipe", &file]).succeeded();
    assert_says(
        &run.stdout,
        &["recipe tiny-eps3: 4 steps, about 2 minutes", "model tiny-eps3", "75.00 ± 1.00 %"],
    );
    let shown = world.run(&["models", "show", "tiny-eps3"]).succeeded().stdout;
    assert_says(&shown, &["kind = \"avg_pool\""]);
    let arguments = [
        "train",
        "--recipe",
        &file,
        "--model",
        "other",
        "--epochs",
        "0.05",
        "--epsilon",
        "2",
        "--json",
    ];
    let other = world.run(&arguments).succeeded();
    // The published figures are not those of what the options made of the recipe.
    assert_says(&other.stderr, &["recipe tiny-eps3: 2 steps, time not measured yet"]);
    let other = other.json();
    assert_eq!((other["model"].as_str(), other["steps"].as_u64()), (Some("other"), Some(2)));
    let epsilon = other["epsilon"].as_f64().unwrap();
    assert!(epsilon > 1.5 && epsilon <= 2.0, "{other}");
    assert_eq!(other["recipe"].as_str(), Some("tiny-eps3"));
}

#[test]
fn rejects_budgets_for_recipes_without_privacy() {
    let arguments = ["train", "--recipe", "sphinx-mnist-no-privacy", "--epsilon", "2"];
    let error = Machine::new().run(&arguments).refused(2);
    assert_says(&error, &["the recipe adds no noise", "--privacy dp"]);
}

#[test]
fn a_grid_is_searched_by_validation_images_best_first() {
    let machine = Machine::new();
    let network = machine.file("tiny.toml", TINY);
    let recipe = format!(
        r#"
        name = "tiny-eps8"
        description = "Tiny"
        network = {network:?}
        seeds = [1, 2]
        [privacy.budget]
        epsilon = 8.0
        delta = 1e-5
        clipping_norm = 0.1
        [training]
        epochs = 2.0
        blocks = 1
        optimizer = {{ sgd = {{ momentum = 0.9, nesterov = false }} }}
        learning_rate = 1.0
        decay = "constant"
        "#
    );
    let recipe = machine.file("tiny-eps8.toml", &recipe);
    let search = ["recipes", "search", &recipe, "--limit", "3000", "--validation", "500"];
    let vary = ["--vary", "training.learning_rate=0.001,8", "--seeds", "2"];
    let found = machine.run(&[&search[..], &vary, &["--json"]].concat()).json();
    assert_eq!((&found["trained"], &found["validated"]), (&2500.into(), &500.into()));
    let settings = found["settings"].as_array().unwrap();
    let best = &settings[0];
    assert_eq!(best["values"], serde_json::json!([["training.learning_rate", "8"]]), "{found}");
    assert!(best["accuracy"].as_f64() > settings[1]["accuracy"].as_f64(), "{found}");
    assert!(best["epsilon"].as_f64().unwrap() <= 8.0 && best["seeds"] == 2, "{found}");
    let text = machine.run(&[&search[..], &vary].concat()).succeeded().stdout;
    assert_says(&text, &["VALIDATION", "training.learning_rate=8", "does not include the search"]);
    let refused =
        machine.run(&[&search[..5], &["--validation", "3000"], &vary[..2]].concat()).refused(2);
    assert_says(&refused, &["--validation 3000: there are 3000 training images"]);

    // A search that counts tells the best alone.
    let counted = [&search[..], &vary[..2], &["--epsilon-in-all", "12", "--trials", "3"]].concat();
    let chosen = machine.run(&[&counted[..], &["--json"]].concat()).json();
    let number = |key: &str| chosen[key].as_f64().unwrap();
    assert!(chosen.get("settings").is_none() && chosen["trials"].as_u64() >= Some(1), "{chosen}");
    assert!((11.0..=12.0).contains(&number("epsilon_in_all")), "{chosen}");
    assert!(number("epsilon") < number("epsilon_of_search"), "{chosen}");
    assert!(number("epsilon_of_search") < number("epsilon_in_all"), "{chosen}");
    assert!(number("accuracy_noise") >= 1.0 / 500.0, "{chosen}");
    let text = machine.run(&counted).succeeded().stdout;
    assert_says(
        &text,
        &["best of", "training.learning_rate=", "for the search, ", "on all 3000 images"],
    );
    let without = ["--vary", "training.learning_rate=1,2", "--limit", "3000", "--epsilon-in-all"];
    let without =
        [&["recipes", "search", "sphinx-mnist-no-privacy"][..], &without, &["3"]].concat();
    assert_says(&machine.run(&without).refused(2), &["has to have a privacy budget"]);
    let trials = [&counted[..counted.len() - 1], &["0"]].concat();
    assert_says(&machine.run(&trials).refused(2), &["0 trainings on the average are not in 1"]);
    let both = ["--vary", "privacy.budget.epsilon=1,2", "--epsilon-in-all", "3"];
    assert_says(&machine.run(&[&search[..], &both].concat()).refused(2), &["cannot be varied"]);
}
