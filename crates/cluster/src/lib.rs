//! The three services as real processes on this machine, for the demo, the benchmark, examples and
//! tests.
//!
//! Each child listens on a free loopback port, shares a temporary store with the others and lives
//! no longer than its parent: it holds the read end of a pipe as its standard input, and leaves
//! when that closes, which the kernel does even if the parent is killed.

mod error;
mod process;
mod program;
mod usage;

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

pub use error::ClusterError;
use process::ServiceProcess;
pub use usage::Usage;

/// One of the three services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Service {
    /// Trains models.
    Trainer,
    /// Recognises images.
    Inference,
    /// Keeps public and evaluation keys.
    Keyvault,
}

impl Service {
    /// Name on the command line and of the log file.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trainer => "trainer",
            Self::Inference => "inference",
            Self::Keyvault => "keyvault",
        }
    }
}

impl fmt::Display for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a service listens; displays as the URI to connect to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Endpoint(pub SocketAddr);

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}", self.0)
    }
}

/// What a child must be told; an argument builder turns it into a command line.
#[derive(Debug, Clone, Copy)]
pub struct Launch<'a> {
    /// Which service.
    pub service: Service,
    /// Directory of the store, common to the three.
    pub store: &'a Path,
    /// Where the keyvault listens; `None` for the keyvault itself.
    pub keyvault: Option<Endpoint>,
}

impl Launch<'_> {
    /// Command line of `sphinx`: `serve SERVICE --listen 127.0.0.1:0 --store DIR
    /// --exit-with-stdin [--keyvault URI]`. The service must print `listening on ADDRESS` on its
    /// standard output once it is ready, and leave when its standard input closes.
    pub fn serve_arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = [
            "serve",
            self.service.name(),
            "--listen",
            "127.0.0.1:0",
            "--exit-with-stdin",
            "--store",
        ]
        .map(OsString::from)
        .into();
        arguments.push(self.store.into());
        if let Some(keyvault) = self.keyvault {
            arguments.extend(["--keyvault".into(), keyvault.to_string().into()]);
        }
        arguments
    }
}

/// Makes the command line of a service.
pub type ArgumentBuilder = dyn Fn(&Launch<'_>) -> Vec<OsString> + Send + Sync;

/// How to start and stop the services.
pub struct ClusterOptions {
    /// The program that is each of the services.
    pub program: PathBuf,
    /// Its arguments for a service.
    pub arguments: Box<ArgumentBuilder>,
    /// Let the services log to this process's standard error instead of to files.
    pub verbose: bool,
    /// Longest time a service may take to listen.
    pub start_deadline: Duration,
    /// Longest time a service may take to stop after SIGTERM before it is killed.
    pub stop_grace: Duration,
}

impl ClusterOptions {
    /// A program that understands `serve ...` as `sphinx` does, with 20 s to start and 10 s to
    /// stop.
    pub fn new(program: PathBuf) -> Self {
        Self {
            program,
            arguments: Box::new(|launch| launch.serve_arguments()),
            verbose: false,
            start_deadline: Duration::from_secs(20),
            stop_grace: Duration::from_secs(10),
        }
    }

    /// This very executable, for the command itself under whatever name.
    ///
    /// # Errors
    /// [`ClusterError::Program`] if the system does not tell which executable this is.
    pub fn current_program() -> Result<Self, ClusterError> {
        Ok(Self::new(current_executable()?))
    }

    /// The command `sphinx`, for any other program: it lies beside this executable or one folder
    /// above, where cargo puts it for tests and examples, or in a folder of `PATH`.
    ///
    /// # Errors
    /// [`ClusterError::Program`] likewise, [`ClusterError::NoCommand`] if it is in none of these
    /// places.
    pub fn find_command() -> Result<Self, ClusterError> {
        let executable = current_executable()?;
        let path = std::env::var_os("PATH");
        match program::find(&executable, path.as_deref()) {
            Some(program) => Ok(Self::new(program)),
            None => Err(ClusterError::NoCommand { executable }),
        }
    }
}

fn current_executable() -> Result<PathBuf, ClusterError> {
    std::env::current_exe().map_err(|e| ClusterError::Program { kind: e.kind() })
}

/// The three services, running. [`shutdown`](Self::shutdown) stops them gently; dropping stops
/// them too, blocking for a second at most before it kills. Either way the store is removed.
pub struct LocalCluster {
    /// Where the trainer listens.
    pub trainer: Endpoint,
    /// Where inference listens.
    pub inference: Endpoint,
    /// Where the keyvault listens.
    pub keyvault: Endpoint,
    processes: [ServiceProcess; 3],
    stop_grace: Duration,
    // After the processes: the directory goes when nobody writes to it any more.
    directory: TempDir,
}

impl LocalCluster {
    /// Starts the keyvault, then the other two, which need its address; returns when all listen.
    ///
    /// # Errors
    /// [`ClusterError`] for a service that cannot be started, dies, or does not listen in time,
    /// with its last log lines; those already started are stopped.
    pub async fn start(options: ClusterOptions) -> Result<Self, ClusterError> {
        let directory = private_directory()?;
        let store = directory.path().join("store");
        std::fs::create_dir(&store)
            .map_err(|e| ClusterError::Directory { path: store.clone(), kind: e.kind() })?;
        let start = |service, keyvault| {
            let launch = Launch { service, store: &store, keyvault };
            let log = (!options.verbose).then(|| log_path(directory.path(), service));
            ServiceProcess::start(&options, launch, log)
        };
        let keyvault = start(Service::Keyvault, None).await?;
        let address = Some(keyvault.endpoint());
        let (trainer, inference) =
            tokio::try_join!(start(Service::Trainer, address), start(Service::Inference, address))?;
        Ok(Self {
            trainer: trainer.endpoint(),
            inference: inference.endpoint(),
            keyvault: keyvault.endpoint(),
            processes: [trainer, inference, keyvault],
            stop_grace: options.stop_grace,
            directory,
        })
    }

    /// Stops the services: SIGTERM to all, then SIGKILL to those still there after the grace time.
    ///
    /// # Errors
    /// [`ClusterError::Unresponsive`] names the services that had to be killed.
    pub async fn shutdown(mut self) -> Result<(), ClusterError> {
        self.terminate();
        let deadline = tokio::time::Instant::now() + self.stop_grace;
        let mut killed = Vec::new();
        for process in &mut self.processes {
            if !process.stopped_by(deadline).await {
                killed.push(process.service());
            }
        }
        if killed.is_empty() {
            return Ok(());
        }
        Err(ClusterError::Unresponsive { services: killed, grace: self.stop_grace })
    }

    /// Processor time and memory of a service so far; `None` on systems without `/proc`, or when
    /// the service is gone.
    pub fn usage(&self, service: Service) -> Option<Usage> {
        Usage::of(self.pid(service)?)
    }

    /// Process number of a service; `None` once it has ended.
    pub fn pid(&self, service: Service) -> Option<u32> {
        self.processes.iter().find(|p| p.service() == service)?.pid()
    }

    /// File that the service logs to (empty with `verbose`); removed with the cluster.
    pub fn log(&self, service: Service) -> PathBuf {
        log_path(self.directory.path(), service)
    }

    /// Asks all to stop, so that they do so at the same time.
    fn terminate(&self) {
        for process in &self.processes {
            process.terminate();
        }
    }
}

impl Drop for LocalCluster {
    fn drop(&mut self) {
        self.terminate();
    }
}

fn log_path(directory: &Path, service: Service) -> PathBuf {
    directory.join(format!("{service}.log"))
}

/// The store holds models of the user: nobody else may read it.
fn private_directory() -> Result<TempDir, ClusterError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("sphinx-cluster-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(std::fs::Permissions::from_mode(0o700));
    }
    builder
        .tempdir()
        .map_err(|e| ClusterError::Directory { path: std::env::temp_dir(), kind: e.kind() })
}
