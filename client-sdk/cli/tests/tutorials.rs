//! The commands of the tutorials, each run as it stands there, in order, in one shell.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use sphinx_client::data::TrainTest;

/// The shell of a text's blocks, one after the other.
fn script(text: &str) -> String {
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.collect::<Vec<_>>().concat()
}

/// Three ports that nobody listens on.
fn free_ports() -> [u16; 3] {
    let listeners = [0; 3].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().port())
}

/// Runs a tutorial in `directory`, with services on ports of their own in the place of the usual
/// ones, and ends what it has started.
fn run(text: &str, directory: &Path) {
    let binary = Path::new(env!("CARGO_BIN_EXE_sphinx")).parent().unwrap();
    let path = format!("{}:{}", binary.display(), std::env::var("PATH").unwrap());
    let [trainer, inference, keyvault] = free_ports();
    let ports = [("7001", trainer), ("7002", inference), ("7003", keyvault)];
    let commands = ports.iter().fold(script(text), |commands, (usual, port)| {
        commands
            .replace(&format!(":{usual}"), &format!(":{port}"))
            .replace(&format!("port={usual}"), &format!("port={port}"))
    });
    assert!(commands.lines().filter(|line| line.starts_with("sphinx ")).count() >= 5);
    let mut shell = Command::new("bash");
    shell.args(["-euxo", "pipefail", "-c"]).arg(format!("trap 'kill $(jobs -p)' EXIT\n{commands}"));
    shell.current_dir(directory).env_clear().env("PATH", path).env("HOME", directory);
    if !commands.contains("[server]") {
        let vault = format!("http://127.0.0.1:{keyvault}");
        for (name, port) in [("TRAINER", trainer), ("INFERENCE", inference), ("KEYVAULT", keyvault)]
        {
            let listen = format!("127.0.0.1:{port}");
            shell.env(format!("SPHINX_{name}"), format!("http://{listen}"));
            shell.env(format!("SPHINX_{name}__SERVER__LISTEN"), listen);
            shell.env(format!("SPHINX_{name}__KEYVAULT"), &vault);
        }
    }
    let output = shell.process_group(0).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{}: {}", output.status, String::from_utf8_lossy(&said));
}

/// Two classes of small pictures, as somebody's photographs.
fn photographs(directory: &Path) {
    let TrainTest { train, .. } = sphinx_mnist::load().unwrap();
    for (class, digit) in [("cat", 0), ("dog", 1)] {
        let folder = directory.join("photos").join(class);
        std::fs::create_dir_all(&folder).unwrap();
        let of_class = (0..train.len()).filter(|&index| train.labels()[index] == digit);
        for index in of_class.take(150) {
            let pixels = train.levels(index).unwrap().to_vec();
            let picture = image::GrayImage::from_raw(28, 28, pixels).unwrap();
            picture.save(folder.join(format!("{index}.png"))).unwrap();
        }
    }
    let one = std::fs::read_dir(directory.join("photos/dog")).unwrap().next().unwrap().unwrap();
    std::fs::copy(one.path(), directory.join("new.png")).unwrap();
}

#[test]
fn the_data_owner() {
    let directory = tempfile::tempdir().unwrap();
    photographs(directory.path());
    run(include_str!("../../../docs/tutorials/data-owner.md"), directory.path());
}

#[test]
fn the_operator() {
    let directory = tempfile::tempdir().unwrap();
    run(include_str!("../../../docs/tutorials/operator.md"), directory.path());
}

#[test]
fn the_researcher() {
    let directory = tempfile::tempdir().unwrap();
    run(include_str!("../../../docs/tutorials/researcher.md"), directory.path());
}

#[test]
fn the_auditor() {
    let directory = tempfile::tempdir().unwrap();
    run(include_str!("../../../docs/tutorials/auditor.md"), directory.path());
}
