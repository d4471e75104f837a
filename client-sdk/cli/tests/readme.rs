//! The commands of the README and of the texts on privacy, data, operations, clusters and the
//! studio exist and take the options given there; the README's network is valid.

use std::process::Command;

use sphinx_network::{NetworkSpec, Plan};

const README: &str = include_str!("../../../README.md");
const PRIVACY: &str = include_str!("../../../docs/privacy.md");
const OPERATIONS: &str = include_str!("../../../docs/operations.md");
const KUBERNETES: &str = include_str!("../../../docs/kubernetes.md");
const DATA: &str = include_str!("../../../docs/data.md");
const GRPCURL: &str = include_str!("../../../docs/grpcurl.md");
const STUDIO: &str = include_str!("../../../docs/studio.md");

/// The text of the code blocks in a language.
fn blocks(text: &'static str, language: &str) -> Vec<&'static str> {
    let opening = format!("```{language}\n");
    text.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect()
}

/// Everything after `sphinx` in the lines of shell, also of those that run it in a container.
fn commands(text: &'static str) -> Vec<String> {
    let lines = blocks(text, "sh").concat().replace("\\\n", " ");
    let commands = lines.lines().flat_map(|line| line.split(['&', '|'])).map(str::trim);
    let programs = ["sphinx ", "docker compose run --rm client ", "docker compose run --rm setup "];
    let after =
        commands.filter_map(|line| programs.iter().find_map(|program| line.strip_prefix(program)));
    after.map(str::to_owned).collect()
}

#[test]
fn commands_are_understood() {
    let [readme, privacy, operations, data] = [README, PRIVACY, OPERATIONS, DATA].map(commands);
    assert!(readme.len() >= 10 && privacy.len() >= 4, "{readme:?} {privacy:?}");
    assert!(operations.len() >= 11 && data.len() >= 4, "{operations:?} {data:?}");
    let [studio, kubernetes, grpcurl] = [STUDIO, KUBERNETES, GRPCURL].map(commands);
    assert!(grpcurl.len() >= 3, "{grpcurl:?}");
    assert!(studio.len() >= 2 && !kubernetes.is_empty(), "{studio:?} {kubernetes:?}");
    for command in [readme, privacy, operations, data, studio, kubernetes, grpcurl].concat() {
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
    let [network] = blocks(README, "toml").try_into().unwrap();
    assert_eq!(Plan::new(&NetworkSpec::from_toml(network).unwrap()).unwrap().classes, 10);
}

#[test]
fn the_test_command_is_the_one_of_the_checks() {
    let command = "cargo test --release --workspace";
    assert!(blocks(README, "sh").iter().any(|block| block.trim() == command));
    assert!(include_str!("../../../.ci/run").contains(command));
}
