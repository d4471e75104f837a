//! `sphinx privacy` without services.

use serde_json::Value;

use crate::world::{Machine, assert_says};

const REFERENCE: &str = include_str!("../../../../crates/privacy/tests/data/dp_reference.json");
const PLD_REFERENCE: &str =
    include_str!("../../../../crates/privacy/tests/data/dp_pld_reference.json");

/// Compares fields of `privacy account --json` with those of some rows of a reference.
fn assert_agrees(reference: &str, fields: &[(&str, &str)], within: f64) {
    let machine = Machine::new();
    let reference: Value = serde_json::from_str(reference).unwrap();
    for row in reference["rows"].as_array().unwrap().iter().step_by(7) {
        let field = |name: &str| row[name].to_string();
        let got = machine
            .run(&[
                "privacy",
                "account",
                "--json",
                "--sampling-rate",
                &field("sampling_rate"),
                "--noise-multiplier",
                &field("noise_multiplier"),
                "--steps",
                &field("steps"),
                "--delta",
                &field("delta"),
            ])
            .json();
        for &(ours, theirs) in fields {
            let (got, expected) = (got[ours].as_f64().unwrap(), row[theirs].as_f64().unwrap());
            assert!((got - expected).abs() <= within * expected, "{row}: {got}");
        }
        assert_eq!((&got["epsilon"], &got["epsilon_proof"]), (&got["epsilon_pld"], &"pld".into()));
    }
}

#[test]
fn account_agrees_with_the_references() {
    let renyi = [("epsilon_rdp", "epsilon_improved"), ("epsilon_classical", "epsilon_classical")];
    assert_agrees(REFERENCE, &renyi, 0.01);
    assert_agrees(PLD_REFERENCE, &[("epsilon_pld", "epsilon_pld")], 0.002);
}

#[test]
fn where_loss_distributions_take_too_fine_a_grid_it_is_said_and_renyi_divergences_are_left() {
    let account = ["privacy", "account", "--sampling-rate", "0.001", "--noise-multiplier", "100"];
    let account = [&account[..], &["--steps", "100000000"]].concat();
    let text = Machine::new().run(&account).succeeded().stdout;
    assert_says(&text, &["no PLD", "would need a grid of", "too many steps"]);
    let json = Machine::new().run(&[&account[..], &["--json"]].concat()).json();
    assert!(json["epsilon_pld"].is_null() && json["epsilon"] == json["epsilon_rdp"], "{json}");
    assert_says(json["epsilon_pld_note"].as_str().unwrap(), &["would need a grid of"]);
    assert_eq!(json["epsilon_proof"], "rdp");
}

#[test]
fn plans_stay_within_their_budget_and_account_agrees() {
    let machine = Machine::new();
    let plan = machine
        .run(&["privacy", "plan", "--epsilon", "2", "--batch", "1024", "--epochs", "3", "--json"])
        .json();
    assert_eq!((plan["steps"].as_u64(), plan["blocks"].as_u64()), (Some(176), Some(1)));
    let epsilon = plan["epsilon"].as_f64().unwrap();
    assert!(epsilon <= 2.0 && epsilon > 1.99, "{plan}");
    let (rate, noise) = (plan["sampling_rate"].to_string(), plan["noise_multiplier"].to_string());
    let spent = machine
        .run(&[
            "privacy",
            "account",
            "--json",
            "--sampling-rate",
            &rate,
            "--noise-multiplier",
            &noise,
            "--steps",
            "176",
        ])
        .json();
    // The plan takes the probability of overflows from δ, next to nothing here.
    assert!((spent["epsilon"].as_f64().unwrap() - epsilon).abs() < 1e-3, "{spent} {plan}");
}

#[test]
fn long_trainings_get_smaller_batches_than_short_ones() {
    let machine = Machine::new();
    let batch = |epochs: &str| {
        let plan = machine.run(&["privacy", "plan", "--epochs", epochs, "--json"]).json();
        let batch = plan["expected_batch"].as_u64().unwrap();
        let again = batch.to_string();
        let again =
            ["privacy", "plan", "--epochs", epochs, "--blocks", "1", "--batch", &again, "--json"];
        assert_eq!(machine.run(&again).json(), plan);
        batch
    };
    let (short, long) = (batch("1"), batch("500"));
    assert!(1700 < long && long < short && short < 2048, "{short} {long}");
}

#[test]
fn a_delta_that_protects_nobody_is_warned_about() {
    let plan = ["privacy", "plan", "--delta", "1e-3"];
    let text = Machine::new().run(&plan).succeeded().stdout;
    assert_says(&text, &["warning", "1/60000"]);
}

#[test]
fn plans_for_huge_data_sets_are_made_at_once_or_refused() {
    let machine = Machine::new();
    let plan = |examples: &str, batch: &str| {
        machine.run(&["privacy", "plan", "--examples", examples, "--batch", batch, "--json"])
    };
    let huge = plan("1000000000", "500000000").json();
    assert!(huge["blocks"].as_u64().unwrap() > 244_141, "{huge}");
    let error = plan("1000000000000000000", "500000000000000000").refused(1);
    assert_says(&error, &["1000000000000000000 examples", "at most 1000000000"]);
    let error = machine.run(&["privacy", "plan", "--blocks", "1000000000"]).refused(1);
    assert_says(&error, &["1000000000 blocks", "more than 31"]);
}

#[test]
fn next_to_no_noise_has_no_epsilon() {
    let machine = Machine::new();
    let account = ["privacy", "account", "--sampling-rate", "0.1", "--steps", "1"];
    for noise in ["1e-155", "5e-324"] {
        for json in [&[][..], &["--json"]] {
            let arguments = [&account[..], &["--noise-multiplier", noise], json].concat();
            assert_says(
                &machine.run(&arguments).refused(1),
                &["epsilon is larger than any number"],
            );
        }
    }
}

#[test]
fn rejects_nonsense() {
    let machine = Machine::new();
    let account = |rate, noise, steps| {
        machine.run(&[
            "privacy",
            "account",
            "--sampling-rate",
            rate,
            "--noise-multiplier",
            noise,
            "--steps",
            steps,
        ])
    };
    for (rate, noise) in [("0", "1"), ("1.5", "1"), ("0.1", "0"), ("0.1", "-1"), ("q", "1")] {
        assert_eq!(account(rate, noise, "1").code, Some(2), "{rate} {noise}");
    }
    for (rate, noise) in [("NaN", "1"), ("-0.1", "1"), ("inf", "1"), ("0.1", "NaN"), ("0.1", "inf")]
    {
        let (rate, noise) =
            (format!("--sampling-rate={rate}"), format!("--noise-multiplier={noise}"));
        let run = machine.run(&["privacy", "account", &rate, &noise, "--steps", "1"]);
        assert_eq!(run.code, Some(2), "{rate} {noise}");
    }
    for option in [
        "--epsilon=0",
        "--epsilon=NaN",
        "--delta=0",
        "--delta=1",
        "--epochs=0",
        "--blocks=0",
        "--augment=0",
        "--augment=3",
    ] {
        assert_eq!(machine.run(&["privacy", "plan", option]).code, Some(2), "{option}");
    }
    let error = machine.run(&["privacy", "plan", "--batch", "0"]).refused(1);
    assert_says(&error, &["expected batch size 0 is not in 1 to 60000"]);
    let error = machine.run(&["privacy", "plan", "--examples", "0"]).refused(1);
    assert_says(&error, &["no examples"]);
    let error = machine.run(&["privacy", "plan", "--blocks", "1", "--batch", "2000"]).refused(1);
    assert_says(&error, &["2000 overflows 1 blocks", "or use more blocks"]);
    assert_says(&account("0.1", "1", "0").refused(1), &["0 steps"]);
    let error = machine.run(&["privacy", "plan", "--examples", "500", "--batch", "501"]).refused(1);
    assert_says(&error, &["501", "500"]);
    let error = machine.run(&["privacy", "show", "nothing"]).refused(1);
    assert_says(&error, &["no privacy ledger", "nothing.redb"]);
}
