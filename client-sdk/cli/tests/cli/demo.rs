//! `sphinx demo` on settings that take a second.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::world::{Machine, TINY, assert_says};

#[test]
fn the_demo_ends_with_a_report_and_says_what_comes_next() {
    let machine = Machine::new();
    let network = machine.file("tiny.toml", TINY);
    let arguments = ["demo", "--network", &network, "--epochs", "1.5", "--limit", "4000"];
    let run = machine.run(&[&arguments[..], &["--report", "report"]].concat()).succeeded();
    let report = fs::read_to_string(machine.directory.path().join("report/report.json")).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!((report["network"].as_str(), report["epochs"].as_u64()), (Some("tiny"), Some(2)));
    let number =
        |field: &str| report[field].as_f64().unwrap_or_else(|| panic!("{field}: {report}"));
    let accuracy = number("test_accuracy");
    let confusion = report["confusion"].as_array().unwrap();
    let row = |row: &Value| -> Vec<u64> {
        row.as_array().unwrap().iter().map(|count| count.as_u64().unwrap()).collect()
    };
    let confusion: Vec<Vec<u64>> = confusion.iter().map(row).collect();
    assert_eq!(confusion.iter().flatten().sum::<u64>(), 4000);
    let correct: u64 = (0..10).map(|digit| confusion[digit][digit]).sum();
    assert!((accuracy - correct as f64 / 4000.0).abs() < 1e-12);
    assert!(number("epsilon") <= 3.0 && number("epsilon") < number("epsilon_classical"));
    assert_eq!(number("delta"), 1e-5);
    for field in ["wall_seconds", "ms_per_image", "bytes_up_per_image", "bytes_down_per_image"] {
        assert!(number(field) > 0.0, "{field}: {report}");
    }
    assert_eq!(report["history"].as_array().unwrap().len(), 2);
    for plot in ["curve.svg", "confusion.svg"] {
        assert_says(
            &fs::read_to_string(machine.directory.path().join("report").join(plot)).unwrap(),
            &["<svg"],
        );
    }
    assert_says(
        &run.stdout,
        &["step 1/", "test accuracy", "recall", "ε =", "classical", "in all", "train --network"],
    );
}

#[test]
fn json_output_is_the_report_alone() {
    let machine = Machine::new();
    let network = machine.file("tiny.toml", TINY);
    let report = machine
        .run(&["demo", "--network", &network, "--epochs", "0.5", "--limit", "4000", "--json"])
        .json();
    assert_eq!(report["network"].as_str(), Some("tiny"));
}

#[test]
fn ctrl_c_stops_the_demo_and_leaves_nothing_behind() {
    let machine = Machine::new();
    let network = machine.file("tiny.toml", TINY);
    let temporary = machine.directory.path().join("tmp");
    fs::create_dir(&temporary).unwrap();
    let mut demo = machine
        .command(&["demo", "--network", &network, "--privacy", "none", "--epochs", "100000"])
        .env("TMPDIR", &temporary)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line.starts_with("step 1/")), "no training began");
    assert!(has_store(&temporary), "the services' store is not where it should be");
    let pid = Pid::from_raw(demo.id().cast_signed()).unwrap();
    kill_process(pid, Signal::INT).unwrap();
    assert!(lines.any(|line| line.contains("finishing the step")));
    let ended = demo.wait_with_output().unwrap();
    assert_eq!(ended.status.code(), Some(130));
    assert_says(&String::from_utf8(ended.stderr).unwrap(), &["sphinx: stopped"]);
    assert_eq!(fs::read_dir(&temporary).unwrap().count(), 0, "files were left behind");
}

/// Whether the services' directory is there.
fn has_store(temporary: &Path) -> bool {
    let entries = fs::read_dir(temporary).unwrap();
    entries.flatten().any(|e| e.file_name().to_string_lossy().starts_with("sphinx-cluster-"))
}
