//! Flags, environment, file; and a wrong one of each.

use crate::world::{Machine, assert_says};

/// A command that fails for its address before it calls anybody, and so shows the address.
fn address_used(machine: &Machine, environment: Option<&str>, flags: &[&str]) -> String {
    let mut command = machine.command(&[&["models", "list"], flags].concat());
    command.envs(environment.map(|address| ("SPHINX_TRAINER", address)));
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn flags_beat_the_environment_which_beats_the_file() {
    let machine = Machine::new();
    machine.file(".config/sphinx/config.toml", "trainer = 'of the file'");
    assert_says(&address_used(&machine, None, &[]), &["\"of the file\" of the trainer"]);
    let environment = Some("of the environment");
    assert_says(&address_used(&machine, environment, &[]), &["\"of the environment\""]);
    let flags = ["--trainer", "of the flag"];
    assert_says(&address_used(&machine, environment, &flags), &["\"of the flag\""]);
    let other = machine.file("other.toml", "trainer = 'of the other file'");
    assert_says(&address_used(&machine, None, &["--config", &other]), &["\"of the other file\""]);
}

#[test]
fn rejects_unknown_fields_and_files_that_are_not_there() {
    let machine = Machine::new();
    let file = machine.file("typo.toml", "trainr = 'http://127.0.0.1:1'");
    let error = machine.run(&["models", "list", "--config", &file]).refused(2);
    assert_says(&error, &["trainr", "typo.toml"]);
    let error = machine.run(&["models", "list", "--config", "missing.toml"]).refused(2);
    assert_says(&error, &["missing.toml is not there"]);
}

#[test]
fn rejects_wrong_command_lines() {
    let machine = Machine::new();
    let train = |further: &[&'static str]| [&["train"], further].concat();
    for arguments in [
        vec!["frobnicate"],
        train(&["--epsilon", "-1"]),
        train(&["--epsilon", "nan"]),
        train(&["--delta", "1"]),
        train(&["--clip", "0"]),
        train(&["--epochs", "0"]),
        train(&["--blocks", "0"]),
        train(&["--momentum", "2"]),
        train(&["--optimizer", "adam", "--momentum", "0.9"]),
        train(&["--privacy", "none", "--epsilon", "3"]),
        train(&["--log", "sphinx=loud"]),
        train(&["--network", "alexnet"]),
        train(&["--model", "../../etc"]),
        vec!["infer", "digits"],
        vec!["serve", "trainer", "--tenant", "me"],
    ] {
        let run = machine.run(&arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn rejects_a_service_that_is_not_there_with_its_address() {
    let machine = Machine::new();
    let arguments = ["models", "list", "--trainer", "http://127.0.0.1:1"];
    let error = machine.run(&arguments).refused(1);
    assert_says(&error, &["trainer service at http://127.0.0.1:1", "is it running"]);
}
