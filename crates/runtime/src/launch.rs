//! Everything around a service's `run`: configuration, logs, runtime, signals, exit code.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use sphinx_telemetry::{COMMIT, Telemetry, TraceError, log_panics, set_filter};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::args::{ServiceArgs, parsed};
use crate::config::{Config, ConfigError};
use crate::health::{self, CheckError};
use crate::info::ServiceInfo;
use crate::run::{RunError, run};
use crate::service::Service;

/// What `--check-health` says of a service that does not serve; container engines know no other.
const UNHEALTHY: u8 = 1;
/// `EX_CONFIG` of sysexits.h: the configuration is wrong.
const EX_CONFIG: u8 = 78;
/// `EX_OSERR`: the system refused an address, a thread or a signal handler.
const EX_OSERR: u8 = 71;
/// `EX_SOFTWARE`: the service failed.
const EX_SOFTWARE: u8 = 70;

/// What shells say of a process that Ctrl-C has ended.
const INTERRUPTED: i32 = 130;

/// Runs a service to its end and says with which code to exit: 0 after a drain, 78 for a wrong
/// configuration, 71 when the system refuses the address, 70 when the service fails, 130 when it is
/// told to stop a second time and cuts what runs. With `--check-health` nothing is run; the service
/// that runs already is asked, and 1 says it does not serve. Every failure is one line on standard
/// error.
pub fn launch<S: Service>(args: &ServiceArgs) -> ExitCode {
    match try_launch::<S>(args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing can be done when nobody reads it.
            let _ = writeln!(io::stderr(), "sphinx-{}: {failure}", S::INFO.name);
            ExitCode::from(failure.exit_code())
        }
    }
}

/// A service as a process of its own: reads the command line, then as [`launch`]; 64 for a wrong
/// command line.
pub fn main<S: Service>() -> ExitCode {
    let command = ServiceArgs::command()
        .name(S::INFO.name)
        .bin_name(format!("sphinx-{}", S::INFO.name))
        .version(S::INFO.version)
        .long_version(sphinx_telemetry::version());
    let matches = command.try_get_matches();
    match parsed(matches.and_then(|matches| ServiceArgs::from_arg_matches(&matches))) {
        Ok(args) => launch::<S>(&args),
        Err(code) => code,
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    #[error("configuration: {0}")]
    Telemetry(#[from] TraceError),
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    #[error("unhealthy: {0}")]
    Unhealthy(#[from] CheckError),
    #[error(transparent)]
    Service(#[from] RunError),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Unhealthy(_) => UNHEALTHY,
            Self::Config(_) | Self::Telemetry(_) | Self::Service(RunError::Guard(_)) => EX_CONFIG,
            Self::Listen { .. }
            | Self::System(_)
            | Self::Service(RunError::MetricsAddress { .. }) => EX_OSERR,
            Self::Service(_) => EX_SOFTWARE,
        }
    }
}

fn try_launch<S: Service>(args: &ServiceArgs) -> Result<(), Failure> {
    let config = Config::<S::Limits>::load(&S::INFO, args)?;
    if args.check_health {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let check = health::check(&S::INFO, config.server.listen, &config.tls);
        return Ok(runtime.block_on(check)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = {
        let _within = runtime.enter();
        start_telemetry(&S::INFO, &config)?
    };
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        watch_signals(shutdown.clone())?;
        watch_hangup::<S>(args.clone(), shutdown.clone())?;
        if args.exit_with_stdin {
            watch_stdin(shutdown.clone());
        }
        let address = config.server.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|cause| Failure::Listen { address, cause })?;
        Ok(run::<S>(config, listener, shutdown).await?)
    });
    telemetry.finish();
    // Streams past the drain deadline must not hold the process.
    runtime.shutdown_background();
    result
}

/// Starts logs and traces and writes the first line, which says what is running.
fn start_telemetry<L>(service: &ServiceInfo, config: &Config<L>) -> Result<Telemetry, TraceError> {
    let telemetry = sphinx_telemetry::start(service.name, &config.log, &config.traces)?;
    if telemetry.logs {
        log_panics();
    }
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    let (service, version) = (service.name, service.version);
    tracing::info!(service, version, commit = COMMIT, profile, "starting");
    Ok(telemetry)
}

/// A hangup changes which log lines are written, to what file and environment say now. Where the
/// log goes to a terminal, the terminal is what has gone, and the service with it.
fn watch_hangup<S: Service>(args: ServiceArgs, shutdown: CancellationToken) -> io::Result<()> {
    let mut hangup = signal(SignalKind::hangup())?;
    let terminal = io::stderr().is_terminal();
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            if terminal {
                shutdown.cancel();
                return;
            }
            let args = args.clone();
            let change = move || {
                let filter = Config::<S::Limits>::load(&S::INFO, &args)?.log.filter;
                set_filter(&filter)?;
                Ok::<_, ConfigError>(filter)
            };
            let Ok(changed) = tokio::task::spawn_blocking(change).await else { return };
            match changed {
                Ok(filter) => tracing::info!(filter, "log filter read again"),
                Err(error) => tracing::error!(%error, "the log filter stays as it was"),
            }
        }
    });
    Ok(())
}

fn watch_signals(shutdown: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        let mut asked = async || {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        asked().await;
        shutdown.cancel();
        asked().await;
        tracing::warn!("asked to stop a second time; what runs is cut");
        std::process::exit(INTERRUPTED);
    });
    Ok(())
}

/// A parent that dies, however it does, closes the pipe. A thread of its own, since a read of
/// standard input cannot be cancelled.
fn watch_stdin(shutdown: CancellationToken) {
    std::thread::spawn(move || {
        // An error ends the input just as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        shutdown.cancel();
    });
}
