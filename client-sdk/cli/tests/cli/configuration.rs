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
    assert_says(&address_used(&machine, None, &[]), &["trainer service", "\"of the file\""]);
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
        train(&["--shards", "0"]),
        train(&["--further-trainers", "127.0.0.1:7001"]),
        train(&["--momentum", "2"]),
        train(&["--optimizer", "adam", "--momentum", "0.9"]),
        train(&["--privacy", "none", "--epsilon", "3"]),
        train(&["--log", "sphinx=loud"]),
        train(&["--network", "alexnet"]),
        train(&["--model", "../../etc"]),
        vec!["infer", "digits"],
        vec!["serve", "trainer", "--tenant", "me"],
        vec!["serve", "trainer", "--token-file", "token"],
        vec!["models", "list", "--trainer", "127.0.0.1:7001"],
        vec!["models", "list", "--inference", "grpc://127.0.0.1:7002"],
        vec!["models", "list", "--keyvault", "http://127.0.0.1:7003/path"],
        vec!["models", "list", "--keyvault", "https://me:secret@keyvault"],
        vec!["models", "list", "--keyvault", "http://keyvault"],
        vec!["models", "list", "--certificate", "client.pem"],
        vec!["models", "list", "--keyvault", "https://keyvault", "--ca", "missing.pem"],
        vec!["models", "list", "--home=~somebody/sphinx"],
    ] {
        let run = machine.run(&arguments);
        assert_eq!(run.code, Some(2), "{arguments:?}: {}", run.stderr);
        assert!(!run.stderr.is_empty() && run.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_tilde_in_a_file_is_the_home_directory() {
    let machine = Machine::new();
    let file = machine.file("tilde.toml", "home = '~/of the file'");
    let mut command = machine.command(&["keys", "new", "--id", "mine", "--config", &file]);
    assert!(command.env_remove("SPHINX_HOME").status().unwrap().success());
    let directory = machine.directory.path();
    assert!(directory.join("of the file/keys/mine.key").is_file());
    assert!(!directory.join("~").exists());
}

#[test]
fn clear_text_to_other_machines_has_to_be_allowed_and_tokens_never_go_so() {
    let machine = Machine::new();
    let list = ["models", "list", "--trainer", "http://192.0.2.1:1"];
    let error = machine.run(&list).refused(2);
    assert_says(&error, &["trainer service", "clear text", "https", "--insecure-cleartext"]);
    let token = machine.run(&["tokens", "new", "--role", "owner", "--tenant", "default", "--json"]);
    let token = token.json()["token"].as_str().unwrap().to_owned();
    let mut command = machine.command(&[&list[..], &["--insecure-cleartext"]].concat());
    let output = command.env("SPHINX_TOKEN", &token).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert_says(&error, &["a token is never sent in clear text"]);
    assert!(!error.contains(&token));
}

#[test]
fn rejects_a_service_that_is_not_there_with_its_address() {
    let machine = Machine::new();
    let arguments = ["models", "list", "--trainer", "http://127.0.0.1:1"];
    let error = machine.run(&arguments).refused(1);
    assert_says(&error, &["trainer service at http://127.0.0.1:1", "is it running"]);
}
