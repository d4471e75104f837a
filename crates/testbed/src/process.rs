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

/// The test that is a service when it is asked to be one.
const ENTRY: &str = "service_process";
const SERVICE: &str = "SPHINX_TESTBED_SERVICE";
const STORE: &str = "SPHINX_TESTBED_STORE";
const KEYVAULT: &str = "SPHINX_TESTBED_KEYVAULT";
const LISTEN: &str = "SPHINX_TESTBED_LISTEN";
const AUDIT: &str = "SPHINX_TESTBED_AUDIT";

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
#[derive(Debug, Clone)]
struct Place {
    store: String,
    keyvault: String,
    /// Its audit log, if it is to write one.
    audit: Option<PathBuf>,
}

impl Process {
    /// Starts a trainer on a free port and waits until it listens.
    pub fn trainer(store: &str, keyvault: &str) -> Self {
        let (store, keyvault) = (store.to_owned(), keyvault.to_owned());
        let place = Place { store, keyvault, audit: None };
        Self::listen(&sphinx_trainer::SERVICE, place, "127.0.0.1:0")
    }

    /// The same with an audit log.
    pub fn audited_trainer(store: &str, keyvault: &str, audit: &Path) -> Self {
        let (store, keyvault) = (store.to_owned(), keyvault.to_owned());
        let place = Place { store, keyvault, audit: Some(audit.to_owned()) };
        Self::listen(&sphinx_trainer::SERVICE, place, "127.0.0.1:0")
    }

    /// Starts a key vault with an audit log on a free port and waits until it listens.
    pub fn audited_keyvault(store: &str, audit: &Path) -> Self {
        let keyvault = "http://127.0.0.1:1".to_owned();
        let place = Place { store: store.to_owned(), keyvault, audit: Some(audit.to_owned()) };
        Self::listen(&sphinx_keyvault::SERVICE, place, "127.0.0.1:0")
    }

    fn listen(service: &'static ServiceInfo, place: Place, address: &str) -> Self {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", ENTRY, "--ignored", "--nocapture"])
            .env(SERVICE, service.name)
            .env(STORE, &place.store)
            .env(KEYVAULT, &place.keyvault)
            .env(AUDIT, place.audit.as_deref().unwrap_or(Path::new("")))
            .env(LISTEN, address)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
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

impl Drop for Process {
    fn drop(&mut self) {
        // It may have gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
        match service.as_str() {
            "trainer" => {
                let (config, listener) = configured(&sphinx_trainer::SERVICE).await;
                sphinx_trainer::run(config, listener, stop).await.unwrap();
            }
            "keyvault" => {
                let (config, listener) = configured(&sphinx_keyvault::SERVICE).await;
                sphinx_keyvault::run(config, listener, stop).await.unwrap();
            }
            other => panic!("no process for the service {other}"),
        }
    });
}

async fn configured<L: Limits>(service: &'static ServiceInfo) -> (Config<L>, TcpListener) {
    let variable = |name| std::env::var(name).unwrap();
    let mut config = Config::defaults(service);
    (config.store, config.keyvault) = (variable(STORE), variable(KEYVAULT));
    config.audit.path = variable(AUDIT).into();
    (config, TcpListener::bind(variable(LISTEN)).await.unwrap())
}
