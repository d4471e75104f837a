//! Reports written to disk.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use sphinx_client::data::Classes;
use sphinx_client::workspace::{Confusion, EpochReport};
use svg::node::element::tag::Type;
use svg::parser::Event;

use super::{ReportError, RunReport, write_report};

/// Ten epochs that end at 97.3 % of 10 000 images.
fn report() -> RunReport {
    let history = (1..=10)
        .map(|epoch| {
            let left = f64::from(epoch).powf(-1.1);
            EpochReport {
                epoch,
                loss: 0.08 + 1.3 * left,
                train_accuracy: 0.975 - 0.38 * left,
                test_accuracy: Some(0.978 - 0.31 * left),
                epsilon: Some(0.3 * f64::from(epoch).sqrt() + 2.0),
                seconds: 61.5,
                images: 60_000,
            }
        })
        .collect();
    let mut confusion = Confusion::new(Classes::numbered(10));
    for digit in 0..10 {
        confusion.add(digit, digit, 973);
        confusion.add(digit, (digit + 3) % 10, 15);
        confusion.add(digit, (digit + 5) % 10, 9);
        confusion.add(digit, (digit * 7 + 1) % 10, 3);
    }
    RunReport {
        network: "sphinx-mnist".into(),
        epochs: 10,
        test_accuracy: 0.973,
        confusion,
        epsilon: Some(2.95),
        epsilon_pld: Some(2.95),
        epsilon_rdp: Some(3.27),
        epsilon_classical: Some(3.31),
        delta: Some(1e-5),
        wall_seconds: 615.0,
        ms_per_image: 1.02,
        bytes_up_per_image: 30_000.0,
        bytes_down_per_image: 60_000.5,
        history,
    }
}

fn json(directory: &Path) -> serde_json::Value {
    serde_json::from_str(&fs::read_to_string(directory.join("report.json")).unwrap()).unwrap()
}

/// The texts of an SVG; the parse fails on anything malformed.
fn texts(path: &Path) -> Vec<String> {
    let contents = fs::read_to_string(path).unwrap();
    let (mut texts, mut open) = (Vec::new(), 0);
    for event in svg::read(&contents).unwrap() {
        match event {
            Event::Error(error) => unreachable!("{error}"),
            Event::Tag(_, Type::Start, _) => open += 1,
            Event::Tag(_, Type::End, _) => open -= 1,
            Event::Text(text) => texts.push(text.trim().to_owned()),
            Event::Tag(_, Type::Empty, _)
            | Event::Comment(_)
            | Event::Declaration(_)
            | Event::Instruction(_) => {}
        }
    }
    assert_eq!(open, 0, "unbalanced elements");
    texts
}

#[test]
fn a_report_is_written_whole_and_read_back() {
    let parent = tempfile::TempDir::new().unwrap();
    let directory = parent.path().join("a/b");
    let report = report();
    let written = write_report(&directory, &report).unwrap();
    let names: BTreeSet<_> =
        written.iter().map(|p| p.file_name().unwrap().to_str().unwrap()).collect();
    assert_eq!(names, BTreeSet::from(["report.json", "curve.svg", "confusion.svg"]));
    // Nothing temporary stays.
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 3);

    let text = fs::read_to_string(directory.join("report.json")).unwrap();
    assert_eq!(serde_json::from_str::<RunReport>(&text).unwrap(), report);
    let fields = json(&directory);
    for field in [
        "network",
        "epochs",
        "test_accuracy",
        "confusion",
        "epsilon",
        "epsilon_pld",
        "epsilon_rdp",
        "epsilon_classical",
        "delta",
        "wall_seconds",
        "ms_per_image",
        "bytes_up_per_image",
        "bytes_down_per_image",
        "history",
    ] {
        assert!(fields.get(field).is_some_and(|v| !v.is_null()), "{field}");
    }
    assert_eq!(fields["confusion"][3][3], 973);
    assert!(fields.get("classes").is_none(), "digits need no names");
}

#[test]
fn plots_are_well_formed_and_say_what_they_show() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut report = report();
    report.network = "a<b> & \"c\"".into();
    write_report(directory.path(), &report).unwrap();
    let curve = texts(&directory.path().join("curve.svg")).join("|");
    for expected in ["epoch", "accuracy", "cross-entropy loss", "test accuracy", "a&lt;b&gt; &amp;"]
    {
        assert!(curve.contains(expected), "{expected} in {curve}");
    }
    assert!(curve.contains("97.30 % on test images, ε = 2.95 at δ = 1e-5"), "{curve}");
    let confusion = texts(&directory.path().join("confusion.svg"));
    assert_eq!(confusion.iter().filter(|t| *t == "973").count(), 10);
    assert!(confusion.iter().any(|t| t == "predicted digit"));
    assert!(confusion.iter().any(|t| t == "97.30 %"));
}

#[test]
fn classes_with_names_are_called_by_them() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut report = report();
    report.confusion = Confusion::new(Classes::named(["ship", "aeroplane", "cat"]));
    report.confusion.add(1, 2, 7);
    write_report(directory.path(), &report).unwrap();
    let back: RunReport = serde_json::from_value(json(directory.path())).unwrap();
    assert_eq!(back, report);
    let plot = texts(&directory.path().join("confusion.svg"));
    for expected in ["true class", "predicted class", "aeroplane", "aeropl", "ship", "7"] {
        assert!(plot.iter().any(|text| text == expected), "{expected} in {plot:?}");
    }
}

#[test]
fn without_privacy_the_fields_are_null() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut report = report();
    (report.epsilon, report.epsilon_pld, report.epsilon_rdp) = (None, None, None);
    (report.epsilon_classical, report.delta) = (None, None);
    write_report(directory.path(), &report).unwrap();
    let fields = json(directory.path());
    for field in ["epsilon", "epsilon_pld", "epsilon_rdp", "epsilon_classical", "delta"] {
        assert!(fields.get(field).is_some_and(serde_json::Value::is_null), "{field}");
    }
    let curve = texts(&directory.path().join("curve.svg")).join("|");
    assert!(curve.contains("no differential privacy"));
}

#[test]
fn divergence_and_single_epochs_are_plotted_without_the_gaps() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut report = report();
    report.history.truncate(1);
    report.history[0].test_accuracy = None;
    report.history[0].loss = f64::INFINITY;
    write_report(directory.path(), &report).unwrap();
    let svg = fs::read_to_string(directory.path().join("curve.svg")).unwrap();
    assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    assert_eq!(svg.matches("<polyline").count(), 1);
    let back: RunReport = serde_json::from_value(json(directory.path())).unwrap();
    assert!(back.history[0].loss.is_nan());
}

#[test]
fn an_old_curve_goes_when_there_is_no_history() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut report = report();
    write_report(directory.path(), &report).unwrap();
    report.history.clear();
    report.confusion = Confusion::new(Classes::numbered(10));
    let written = write_report(directory.path(), &report).unwrap();
    assert_eq!(written.len(), 2);
    assert!(!directory.path().join("curve.svg").exists());
    assert!(!fs::read_to_string(directory.path().join("confusion.svg")).unwrap().contains("NaN"));
}

#[test]
fn rejects_a_directory_that_is_a_file() {
    let directory = tempfile::TempDir::new().unwrap();
    let path = directory.path().join("file");
    fs::write(&path, "x").unwrap();
    let kind = ErrorKind::AlreadyExists;
    assert_eq!(write_report(&path, &report()), Err(ReportError::Io { path, kind }));
}
