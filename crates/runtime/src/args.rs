//! Command-line flags of every service; the last and strongest layer of the configuration.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use sphinx_telemetry::LogFormat;

/// Exit code for a wrong command line (`EX_USAGE` of sysexits.h).
const EX_USAGE: u8 = 64;

/// Flags shared by the three services. What is not given is taken from the environment, then from
/// the configuration file, then from the defaults.
#[derive(Debug, Clone, Default, PartialEq, Eq, Parser)]
pub struct ServiceArgs {
    /// Configuration file (TOML)
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT")]
    pub listen: Option<SocketAddr>,
    /// Directory or URL (file, s3, gs, az) that holds the objects
    #[arg(long, value_name = "PATH")]
    pub store: Option<String>,
    /// Address of the key vault (trainer and inference)
    #[arg(long, value_name = "URL")]
    pub keyvault: Option<String>,
    /// Threads for computing; 0 takes all cores
    #[arg(long, value_name = "N")]
    pub compute_threads: Option<usize>,
    /// Speak clear text to other machines too, in both directions: everybody on the way can read
    /// and change it
    #[arg(long)]
    pub insecure_cleartext: bool,
    /// Address of the page for Prometheus
    #[arg(long, value_name = "IP:PORT")]
    pub metrics_listen: Option<String>,
    /// Form of the log lines on standard error
    #[arg(long, value_enum)]
    pub log_format: Option<LogFormat>,
    /// Which log lines are written, for example "info,sphinx_trainer=debug"
    #[arg(long, value_name = "FILTER")]
    pub log_filter: Option<String>,
    /// Drain and exit when standard input ends (for a supervising parent process)
    #[arg(long)]
    pub exit_with_stdin: bool,
    /// Ask the service that runs with this configuration whether it serves; exit 0 if so, 1 if not
    #[arg(long, conflicts_with = "exit_with_stdin")]
    pub check_health: bool,
}

impl ServiceArgs {
    /// Clear text, if it was asked for: the flag cannot forbid what a file allows.
    pub(crate) fn cleartext(&self) -> Option<bool> {
        self.insecure_cleartext.then_some(true)
    }
}

/// Reads a command line; on failure, or for `--help`, prints and says with which code to exit.
///
/// # Errors
/// Code 64 for a wrong command line, 0 after `--help` and `--version`.
pub fn parse_args<A: Parser>() -> Result<A, ExitCode> {
    parsed(A::try_parse())
}

/// What a command line says, or the code to exit with after something is printed.
pub(crate) fn parsed<A>(read: Result<A, clap::Error>) -> Result<A, ExitCode> {
    read.map_err(|error| {
        let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
        // Nothing can be done when the terminal is gone.
        let _ = error.print();
        if asked { ExitCode::SUCCESS } else { ExitCode::from(EX_USAGE) }
    })
}
