//! Why the services do not run.

use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

use crate::Service;

/// A local service that could not be started or stopped as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClusterError {
    /// The system does not tell which executable this is.
    #[error("cannot find the running executable: {kind}")]
    Program {
        /// What the system said.
        kind: ErrorKind,
    },
    /// The command `sphinx` is nowhere.
    #[error(
        "the command sphinx is neither near {} nor in a folder of PATH: build it with `cargo build \
         --release --bin sphinx`", executable.display()
    )]
    NoCommand {
        /// The running executable.
        executable: PathBuf,
    },
    /// No directory for store and logs.
    #[error("cannot create {}: {kind}; check TMPDIR", path.display())]
    Directory {
        /// Directory concerned.
        path: PathBuf,
        /// What the system said.
        kind: ErrorKind,
    },
    /// The process could not be started.
    #[error("cannot start {service} as {}: {kind}", program.display())]
    Spawn {
        /// Service concerned.
        service: Service,
        /// Program that was to be run.
        program: PathBuf,
        /// What the system said.
        kind: ErrorKind,
    },
    /// The process ended before it listened.
    #[error("{service} ended before it listened ({status}){}", tail(log))]
    Died {
        /// Service concerned.
        service: Service,
        /// Exit code or signal.
        status: String,
        /// Its last log lines.
        log: Vec<String>,
    },
    /// The process runs, but did not say where it listens.
    #[error("{service} did not listen within {deadline:?}{}", tail(log))]
    NotReady {
        /// Service concerned.
        service: Service,
        /// Time it was given.
        deadline: Duration,
        /// Its last log lines.
        log: Vec<String>,
    },
    /// The process closed its standard output, or filled it, and went on running.
    #[error("{service} runs, but does not say where it listens{}", tail(log))]
    Unannounced {
        /// Service concerned.
        service: Service,
        /// Its last log lines.
        log: Vec<String>,
    },
    /// The process said that it listens, but not at an address.
    #[error("{service} announced {got:?}, expected an address such as 127.0.0.1:4000")]
    Address {
        /// Service concerned.
        service: Service,
        /// What followed `listening on`.
        got: String,
    },
    /// Services that did not stop on SIGTERM and were killed.
    #[error("killed after {grace:?} without an answer to SIGTERM: {}", names(services))]
    Unresponsive {
        /// Services concerned.
        services: Vec<Service>,
        /// Time they were given.
        grace: Duration,
    },
}

fn tail(log: &[String]) -> String {
    if log.is_empty() {
        return String::new();
    }
    format!("; its log ends:\n  {}", log.join("\n  "))
}

fn names(services: &[Service]) -> String {
    services.iter().map(|s| s.name()).collect::<Vec<_>>().join(", ")
}
