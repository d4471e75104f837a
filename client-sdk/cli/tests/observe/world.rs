//! Services whose metrics are read, and a user of them.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use sphinx_cluster::{ClusterOptions, LocalCluster, Service};
use tempfile::TempDir;

/// Average pooling and one dense layer: trains in milliseconds.
pub const TINY: &str = r#"
name = "needle-network"
input = { channels = 1, height = 28, width = 28 }
[[layers]]
kind = "avg_pool"
size = 4
[[layers]]
kind = "dense"
outputs = 10
"#;

pub const SERVICES: [Service; 3] = [Service::Trainer, Service::Inference, Service::Keyvault];

/// Services that are protected by TLS and tokens, and a machine from which they are used.
pub struct World {
    pub directory: TempDir,
    pub cluster: LocalCluster,
    /// Where each service's metrics are.
    pub metrics: BTreeMap<&'static str, String>,
    pub token: String,
}

impl World {
    /// Starts services; `further` goes into each one's configuration.
    pub async fn start(further: &str) -> Self {
        let directory = TempDir::new().unwrap();
        let bare = |arguments: &[&str]| json(command(&directory, arguments));
        bare(&["certs", "init", "--json"]);
        bare(&["tokens", "new", "--role", "service", "--output", "service.token", "--json"]);
        let new = ["tokens", "new", "--role", "owner", "--tenant", "needle-tenant", "--json"];
        let token = bare(&new)["token"].as_str().unwrap().to_owned();
        let path = |name: &str| directory.path().join(name);
        let mut metrics = BTreeMap::new();
        for service in SERVICES.map(Service::name) {
            let address = free();
            let [certificate, key] =
                ["pem", "key"].map(|end| path(&format!("certs/{service}.{end}")));
            let (ca, credentials) = (path("certs/ca.pem"), path("credentials.toml"));
            let text = format!(
                "[tls]\ncertificate = {certificate:?}\nkey = {key:?}\n\
                 [access]\ncredentials = {credentials:?}\n\
                 [outgoing]\nca = {ca:?}\ntoken_file = {:?}\n\
                 [metrics]\nlisten = {address:?}\nper_model = true\n{further}",
                path("service.token"),
            );
            std::fs::write(path(&format!("{service}.toml")), text).unwrap();
            metrics.insert(service, address);
        }
        let cluster = LocalCluster::start(options(directory.path().to_owned())).await.unwrap();
        Self { directory, cluster, metrics, token }
    }

    /// The same with a registered key and the file `tiny.toml` of a network.
    pub async fn with_key(further: &str) -> Self {
        let world = Self::start(further).await;
        std::fs::write(world.directory.path().join("tiny.toml"), TINY).unwrap();
        world.json(&["keys", "new", "--id", "needle-key", "--json"]);
        world.json(&["keys", "register", "--json"]);
        world
    }

    /// Trains the model `needle-model` of the network of `tiny.toml`; its version then.
    pub fn train(&self, further: &[&str]) -> u64 {
        let train =
            ["train", "--model", "needle-model", "--network", "tiny.toml", "--epochs", "0.1"];
        self.json(&[&train[..], further, &["--json"]].concat());
        self.json(&["models", "show", "needle-model", "--json"])["version"].as_u64().unwrap()
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = command(&self.directory, arguments);
        for (name, value) in self.environment() {
            command.env(name, value);
        }
        command
    }

    /// How the services are called.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        let address = |endpoint: sphinx_cluster::Endpoint| format!("https://{}", endpoint.0);
        vec![
            ("SPHINX_TRAINER", address(self.cluster.trainer)),
            ("SPHINX_INFERENCE", address(self.cluster.inference)),
            ("SPHINX_KEYVAULT", address(self.cluster.keyvault)),
            ("SPHINX_TENANT", "needle-tenant".to_owned()),
            ("SPHINX_CA", "certs/ca.pem".to_owned()),
            ("SPHINX_TOKEN", self.token.clone()),
        ]
    }

    /// What a command that succeeds prints.
    pub fn json(&self, arguments: &[&str]) -> Value {
        json(self.command(arguments))
    }

    /// The page of a service.
    pub fn page(&self, service: &str) -> String {
        get(&self.metrics[service], "/metrics").1
    }
}

fn options(directory: PathBuf) -> ClusterOptions {
    let mut options = ClusterOptions::new(env!("CARGO_BIN_EXE_sphinx").into());
    options.arguments = Box::new(move |launch| {
        let mut arguments = launch.serve_arguments();
        for argument in &mut arguments {
            let text = argument.to_str().unwrap();
            *argument = text.replace("http://", "https://").into();
        }
        let config = directory.join(format!("{}.toml", launch.service.name()));
        arguments.extend(["--config".into(), config.into()]);
        arguments
    });
    options
}

/// The command in an environment that holds nothing but a directory.
pub fn command(directory: &TempDir, arguments: &[&str]) -> Command {
    let path = directory.path();
    let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx"));
    command
        .args(arguments)
        .current_dir(path)
        .env_clear()
        .env("HOME", path)
        .env("SPHINX_HOME", path.join("home"))
        .stdin(Stdio::null());
    command
}

/// Runs what has to succeed.
pub fn succeeds(mut command: Command) -> Output {
    let output = command.output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}\n{}\n{}",
        text(&output.stdout),
        text(&output.stderr)
    );
    output
}

fn json(command: Command) -> Value {
    serde_json::from_slice(&succeeds(command).stdout).unwrap()
}

/// An address of this machine where nobody listens.
pub fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

/// Status line and body of a page.
pub fn get(address: &str, path: &str) -> (String, String) {
    let mut socket = TcpStream::connect(address).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(socket, "GET {path} HTTP/1.0\r\nHost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}
