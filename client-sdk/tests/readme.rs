//! The README's commands exist and take the options it gives them; its network is valid.
#![cfg(feature = "cli")]

use std::process::Command;

use sphinx_network::{NetworkSpec, Plan};

const README: &str = include_str!("../../README.md");

/// The text of the code blocks in a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    README.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

#[test]
fn commands_are_understood() {
    let commands: Vec<&str> = blocks("sh")
        .iter()
        .flat_map(|block| block.lines())
        .flat_map(|line| line.split('&'))
        .map(str::trim)
        .filter_map(|line| line.strip_prefix("sphinx "))
        .collect();
    assert!(commands.len() >= 10, "{commands:?}");
    for command in commands {
        // Help is printed only once everything before it was understood.
        let output = Command::new(env!("CARGO_BIN_EXE_sphinx"))
            .args(command.split_whitespace())
            .arg("--help")
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "sphinx {command}: {errors}");
    }
}

#[test]
fn the_network_is_valid() {
    let [network] = blocks("toml").try_into().unwrap();
    assert_eq!(Plan::new(&NetworkSpec::from_toml(network).unwrap()).unwrap().classes, 10);
}

#[test]
fn the_test_command_is_the_one_of_the_checks() {
    let command = "cargo test --release --workspace";
    assert!(blocks("sh").iter().any(|block| block.trim() == command));
    assert!(include_str!("../../.ci/run").contains(command));
}
