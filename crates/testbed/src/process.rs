//! A service as a process of its own, which can be killed.
//!
//! The process is the test binary itself: cargo builds no other program for the tests of another
//! package. Every test binary that starts one has in its `main.rs`
//!
//! ```text
//! /// Not a test of its own: a service as a process, which tests start and kill.
//! #[test]
//! #[ignore = "started by Process"]
//! fn service_process() {
//!     sphinx_testbed::serve_process();
//! }
//! ```

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use sphinx_runtime::{CancellationToken, Config, Limits, ServiceInfo};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// The test that is a service when it is asked to be one.
const ENTRY: &str = "service_process";
const SERVICE: &str = "SPHINX_TESTBED_SERVICE";
const STORE: &str = "SPHINX_TESTBED_STORE";
const KEYVAULT: &str = "SPHINX_TESTBED_KEYVAULT";
const LISTEN: &str = "SPHINX_TESTBED_LISTEN";
/// The key vault of a service that needs none.
const NOBODY: &str = "http://127.0.0.1:1";
const AUDIT: &str = "SPHINX_TESTBED_AUDIT";
const DRAIN: &str = "SPHINX_TESTBED_DRAIN_MS";
const THREADS: &str = "SPHINX_TESTBED_COMPUTE_THREADS";

/// A running service. It is killed when this is dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    /// Kept open: a service whose output nobody can read ends.
    _output: BufReader<ChildStdout>,
    address: String,
    service: &'static ServiceInfo,
    place: Place,
}

/// What a service is told.
#[derive(Debug, Clone, Default)]
pub struct Place {
    /// Where its store is.
    pub store: String,
    /// Where the key vault is.
    pub keyvault: String,
    /// Its audit log, if it is to write one.
    pub audit: Option<PathBuf>,
    /// Variables of its environment, besides those of this process.
    pub environment: Vec<(String, String)>,
    /// Longest drain, milliseconds; the default if it is `None`.
    pub drain_ms: Option<u64>,
    /// Threads that compute; one per processor if it is `None`.
    pub compute_threads: Option<usize>,
}

impl Process {
    /// Starts a trainer on a free port and waits until it listens.
    pub fn trainer(store: &str, keyvault: &str) -> Self {
        let (store, keyvault) = (store.to_owned(), keyvault.to_owned());
        Self::start(&sphinx_trainer::SERVICE, Place { store, keyvault, ..Place::default() })
    }

    /// The same with an audit log.
    pub fn audited_trainer(store: &str, keyvault: &str, audit: &Path) -> Self {
        let (store, keyvault) = (store.to_owned(), keyvault.to_owned());
        let audit = Some(audit.to_owned());
        Self::start(&sphinx_trainer::SERVICE, Place { store, keyvault, audit, ..Place::default() })
    }

    /// Starts a key vault with an audit log on a free port and waits until it listens.
    pub fn audited_keyvault(store: &str, audit: &Path) -> Self {
        let (store, audit) = (store.to_owned(), Some(audit.to_owned()));
        Self::start(&sphinx_keyvault::SERVICE, Place { store, audit, ..Place::default() })
    }

    /// Starts a service on a free port and waits until it listens.
    pub fn start(service: &'static ServiceInfo, place: Place) -> Self {
        Self::listen(service, place, "127.0.0.1:0")
    }

    /// What a service says that does not start.
    pub fn refusal(service: &'static ServiceInfo, place: &Place) -> String {
        let mut command = command(service, place, "127.0.0.1:0");
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        // It would end by itself if nobody held this.
        let held = child.stdin.take();
        let ended = child.wait_with_output().unwrap();
        drop(held);
        assert!(!ended.status.success(), "the service ran");
        String::from_utf8(ended.stderr).unwrap()
    }

    fn listen(service: &'static ServiceInfo, place: Place, address: &str) -> Self {
        let mut child = command(service, &place, address).spawn().unwrap();
        // The test harness has a word first.
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let address = loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).unwrap() > 0, "the service ended at once");
            if let Some(address) = line.trim_end().strip_prefix("listening on ") {
                break address.to_owned();
            }
        };
        Self { child, _output: output, address, service, place }
    }

    /// Its address.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Host and port.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Number of the process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGTERM, and waits until it has drained.
    pub fn terminate(&mut self) {
        let process = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
        let ended = self.child.wait().unwrap();
        assert!(ended.success(), "the {} did not drain: {ended}", self.service.name);
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts it again on the same port and the same store.
    pub fn restart(&mut self) {
        *self = Self::listen(self.service, self.place.clone(), &self.address);
    }
}

fn command(service: &ServiceInfo, place: &Place, address: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", ENTRY, "--ignored", "--nocapture"])
        .envs(place.environment.iter().cloned())
        .env(SERVICE, service.name)
        .env(STORE, &place.store)
        .env(KEYVAULT, if place.keyvault.is_empty() { NOBODY } else { &place.keyvault })
        .env(AUDIT, place.audit.as_deref().unwrap_or(Path::new("")))
        .env(DRAIN, place.drain_ms.map(|millis| millis.to_string()).unwrap_or_default())
        .env(THREADS, place.compute_threads.unwrap_or_default().to_string())
        .env(LISTEN, address)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Whether a [`Process`] started this process.
pub fn is_served_process() -> bool {
    std::env::var_os(SERVICE).is_some()
}

/// Serves, in the process that a [`Process`] started; does nothing in any other.
pub fn serve_process() {
    let Ok(service) = std::env::var(SERVICE) else { return };
    // Standard input closes when the test ends, however it ends.
    std::thread::spawn(|| {
        std::io::copy(&mut std::io::stdin(), &mut std::io::sink()).unwrap();
        std::process::exit(0);
    });
    let stop = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        // After what the harness has begun to write.
        println!();
        let mut terminated = signal(SignalKind::terminate()).unwrap();
        let stopping = stop.clone();
        tokio::spawn(async move {
            terminated.recv().await;
            stopping.cancel();
        });
        let ended = match service.as_str() {
            "trainer" => {
                let (config, listener) = configured(&sphinx_trainer::SERVICE).await;
                sphinx_trainer::run(config, listener, stop).await
            }
            "inference" => {
                let (config, listener) = configured(&sphinx_inference::SERVICE).await;
                sphinx_inference::run(config, listener, stop).await
            }
            "keyvault" => {
                let (config, listener) = configured(&sphinx_keyvault::SERVICE).await;
                sphinx_keyvault::run(config, listener, stop).await
            }
            other => panic!("no process for the service {other}"),
        };
        ended.unwrap_or_else(|error| panic!("{error}"));
    });
}

async fn configured<L: Limits>(service: &'static ServiceInfo) -> (Config<L>, TcpListener) {
    let variable = |name| std::env::var(name).unwrap();
    let mut config = Config::defaults(service);
    (config.store, config.keyvault) = (variable(STORE), variable(KEYVAULT));
    config.audit.path = variable(AUDIT).into();
    // 0 is one per processor.
    config.compute_threads = variable(THREADS).parse().unwrap();
    if let Ok(millis) = variable(DRAIN).parse() {
        config.server.drain_deadline_ms = millis;
    }
    (config, TcpListener::bind(variable(LISTEN)).await.unwrap())
}
