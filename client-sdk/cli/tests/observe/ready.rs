//! When a service is ready, what it logs, and what it is.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::world::{command, free, get, succeeds};

/// A service by itself, which ends with the test.
struct Lone(Child);

impl Drop for Lone {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The command line of a service in a directory.
fn serve(directory: &TempDir, service: &str, listen: &str, further: &[&str]) -> Command {
    let arguments = ["serve", service, "--listen", listen, "--store", "store"];
    command(directory, &[&arguments[..], further].concat())
}

fn start(mut command: Command) -> Lone {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("listening on "), "{line}");
    Lone(child)
}

async fn eventually(what: &str, mut ready: impl FnMut() -> bool) {
    let started = Instant::now();
    while !ready() {
        assert!(started.elapsed() < Duration::from_secs(20), "{what}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test]
async fn a_trainer_is_ready_when_its_key_vault_answers() {
    let directory = TempDir::new().unwrap();
    let (vault, trainer, page) = (free(), free(), free());
    let url = format!("http://{vault}");
    let further = ["--keyvault", &url, "--metrics-listen", &page];
    let _trainer = start(serve(&directory, "trainer", &trainer, &further));
    let healthy = || {
        let check = serve(&directory, "trainer", &trainer, &["--check-health"]).output().unwrap();
        (check.status.code(), String::from_utf8(check.stderr).unwrap())
    };
    let (code, says) = healthy();
    assert_eq!(code, Some(1), "{says}");
    assert!(says.contains("NOT_SERVING") || says.contains("NotServing"), "{says}");
    let up = |dependency: &str, value: u8| {
        let series = format!("sphinx_dependency_up{{dependency=\"{dependency}\"}} {value}\n");
        get(&page, "/metrics").1.contains(&series)
    };
    eventually("the store answers", || up("store", 1) && up("keyvault", 0)).await;
    let _vault = start(serve(&directory, "keyvault", &vault, &[]));
    eventually("it turns ready", || healthy().0 == Some(0)).await;
    assert!(up("keyvault", 1));
}

#[test]
fn a_hangup_changes_which_lines_are_logged_and_a_bad_filter_changes_nothing() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("keyvault.toml");
    let filter = |filter: &str| {
        std::fs::write(&file, format!("[log]\nfilter = {filter:?}\n")).unwrap();
    };
    filter("warn");
    let listen = free();
    let mut vault =
        start(serve(&directory, "keyvault", &listen, &["--config", file.to_str().unwrap()]));
    let mut log = BufReader::new(vault.0.stderr.take().unwrap()).lines();
    let hang_up = || kill_process(Pid::from_child(&vault.0), Signal::HUP).unwrap();
    let mut next = || log.next().unwrap().unwrap();
    filter("debug");
    hang_up();
    // The first line at all: there was nothing to warn of.
    let line = next();
    assert!(line.contains("log filter read again") && line.contains("debug"), "{line}");
    filter("a=b=c");
    hang_up();
    let mut until = |words: &str| {
        while !next().contains(words) {}
    };
    until("the log filter stays as it was");
    // Still at the level before: what is no configuration is said, and requests go on to be logged.
    let check = serve(&directory, "keyvault", &listen, &["--check-health"]);
    succeeds(check);
    until("finished");
}

#[test]
fn versions_name_commit_and_features() {
    let directory = TempDir::new().unwrap();
    let text = String::from_utf8(succeeds(command(&directory, &["--version"])).stdout).unwrap();
    for expected in [env!("CARGO_PKG_VERSION"), "\ncommit: ", "\nfeatures: ", "otlp"] {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    assert!(text.contains(sphinx_telemetry::COMMIT));
    let short = String::from_utf8(succeeds(command(&directory, &["-V"])).stdout).unwrap();
    assert_eq!(short.trim(), concat!("sphinx ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn rejects_metrics_for_other_machines_and_an_address_in_use() {
    let directory = TempDir::new().unwrap();
    let listen = free();
    let run = |address: &str| {
        let arguments = ["--metrics-listen", address];
        let output = serve(&directory, "keyvault", &listen, &arguments).output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let (code, says) = run("0.0.0.0:9103");
    assert_eq!(code, Some(78), "{says}");
    assert!(says.contains("metrics.listen") && says.contains("insecure_cleartext"), "{says}");
    let (code, says) = run("9103");
    assert_eq!(code, Some(78), "{says}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (code, says) = run(&taken.local_addr().unwrap().to_string());
    assert_eq!(code, Some(71), "{says}");
    assert!(says.contains("metrics.listen: cannot listen"), "{says}");
}
