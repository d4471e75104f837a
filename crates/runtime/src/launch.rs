//! Everything around a service's `run`: configuration, logs, runtime, signals, exit code.

use std::{error::Error, future::Future, io, net::SocketAddr, process::ExitCode};

use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tokio_util::sync::CancellationToken;

use crate::{
    args::ServiceArgs,
    config::{Config, ConfigError, Limits},
    health::{self, HealthError},
    service::ServiceInfo,
    telemetry,
};

/// What `--check-health` says of a service that does not serve; container engines know no other.
const UNHEALTHY: u8 = 1;
/// `EX_CONFIG` of sysexits.h: the configuration is wrong.
const EX_CONFIG: u8 = 78;
/// `EX_OSERR`: the system refused an address, a thread or a signal handler.
const EX_OSERR: u8 = 71;
/// `EX_SOFTWARE`: the service failed.
const EX_SOFTWARE: u8 = 70;

/// Runs a service to its end and says with which code to exit: 0 after a drain, 78 for a wrong
/// configuration, 71 when the system refuses the address, 70 when the service fails. With
/// `--check-health` nothing is run; the service that runs already is asked, and 1 says it does not
/// serve. Every failure is one line on standard error.
pub fn launch<L, E, F, R>(service: &'static ServiceInfo, args: &ServiceArgs, run: R) -> ExitCode
where
    L: Limits,
    E: Error,
    F: Future<Output = Result<(), E>>,
    R: FnOnce(Config<L>, TcpListener, CancellationToken) -> F,
{
    match try_launch(service, args, run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("sphinx-{}: {failure}", service.name);
            ExitCode::from(failure.exit_code())
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error("configuration: {0}")]
    Config(#[from] ConfigError),
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: io::Error },
    #[error("the system refused: {0}")]
    System(#[from] io::Error),
    #[error("unhealthy: {0}")]
    Unhealthy(#[from] HealthError),
    #[error("{0}")]
    Service(String),
}

impl Failure {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Unhealthy(_) => UNHEALTHY,
            Self::Config(_) => EX_CONFIG,
            Self::Listen { .. } | Self::System(_) => EX_OSERR,
            Self::Service(_) => EX_SOFTWARE,
        }
    }
}

fn try_launch<L, E, F, R>(
    service: &'static ServiceInfo,
    args: &ServiceArgs,
    run: R,
) -> Result<(), Failure>
where
    L: Limits,
    E: Error,
    F: Future<Output = Result<(), E>>,
    R: FnOnce(Config<L>, TcpListener, CancellationToken) -> F,
{
    let config = Config::<L>::load(service, args)?;
    if args.check_health {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        return Ok(runtime.block_on(health::check(service, config.server.listen))?);
    }
    telemetry::init(service, &config.log)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(async {
        let shutdown = CancellationToken::new();
        watch_signals(shutdown.clone())?;
        if args.exit_with_stdin {
            watch_stdin(shutdown.clone());
        }
        let address = config.server.listen;
        let listener =
            TcpListener::bind(address).await.map_err(|cause| Failure::Listen { address, cause })?;
        run(config, listener, shutdown).await.map_err(|error| Failure::Service(error.to_string()))
    });
    // Streams past the drain deadline must not hold the process.
    runtime.shutdown_background();
    result
}

fn watch_signals(shutdown: CancellationToken) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        shutdown.cancel();
    });
    Ok(())
}

/// A parent that dies, however it does, closes the pipe. A thread of its own, since a read of standard
/// input cannot be cancelled.
fn watch_stdin(shutdown: CancellationToken) {
    std::thread::spawn(move || {
        // An error ends the input just as well.
        let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
        shutdown.cancel();
    });
}
