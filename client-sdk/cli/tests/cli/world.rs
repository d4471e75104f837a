//! Services of one's own, a home of one's own, and the command.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;
use sphinx_cluster::{ClusterOptions, LocalCluster};
use tempfile::TempDir;

/// Average pooling and one dense layer: trains in milliseconds.
pub const TINY: &str = r#"
name = "tiny"
input = { channels = 1, height = 28, width = 28 }
[[layers]]
kind = "avg_pool"
size = 4
[[layers]]
kind = "dense"
outputs = 10
"#;

/// A user's machine without services.
pub struct Machine {
    pub directory: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        Self { directory: TempDir::new().unwrap() }
    }

    /// The command in an environment that holds nothing but this machine's directories.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let path = self.directory.path();
        let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx"));
        command
            .args(arguments)
            .current_dir(path)
            .env_clear()
            .env("HOME", path)
            .env("SPHINX_HOME", self.home())
            .stdin(Stdio::null());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    pub fn home(&self) -> PathBuf {
        self.directory.path().join("home")
    }

    /// Writes a file and returns its path.
    pub fn file(&self, name: &str, contents: &str) -> String {
        let path = self.directory.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, contents).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// A user's machine with services; both go when it is dropped.
pub struct World {
    pub machine: Machine,
    cluster: LocalCluster,
}

impl World {
    pub async fn start() -> Self {
        let options = ClusterOptions::new(env!("CARGO_BIN_EXE_sphinx").into());
        let cluster = LocalCluster::start(options).await.unwrap();
        Self { machine: Machine::new(), cluster }
    }

    /// With a registered key.
    pub async fn with_key() -> Self {
        let world = Self::start().await;
        world.run(&["keys", "new", "--id", "mine"]).succeeded();
        world.run(&["keys", "register"]).succeeded();
        world
    }

    pub fn run(&self, arguments: &[&str]) -> Run {
        self.run_on(&self.machine, arguments)
    }

    /// The same services seen from another machine.
    pub fn run_on(&self, machine: &Machine, arguments: &[&str]) -> Run {
        Run::of(self.command_on(machine, arguments))
    }

    /// The command with these services.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.command_on(&self.machine, arguments)
    }

    fn command_on(&self, machine: &Machine, arguments: &[&str]) -> Command {
        let mut command = machine.command(arguments);
        command
            .env("SPHINX_TRAINER", self.cluster.trainer.to_string())
            .env("SPHINX_INFERENCE", self.cluster.inference.to_string())
            .env("SPHINX_KEYVAULT", self.cluster.keyvault.to_string());
        command
    }

    /// Address of the trainer.
    pub fn trainer(&self) -> String {
        self.cluster.trainer.to_string()
    }

    /// Address of the inference service.
    pub fn inference(&self) -> String {
        self.cluster.inference.to_string()
    }

    /// A further replica of the inference service on the same store, started by hand.
    pub fn serve_inference(&self, listen: &str) -> Command {
        let log = self.cluster.log(sphinx_cluster::Service::Inference);
        let mut command = Command::new(env!("CARGO_BIN_EXE_sphinx"));
        command
            .args(["serve", "inference", "--exit-with-stdin", "--log-filter", "off"])
            .args(["--listen", listen, "--keyvault", &self.cluster.keyvault.to_string(), "--store"])
            .arg(log.with_file_name("store"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        command
    }

    /// Trains the tiny network for four steps.
    pub fn train_tiny(&self, further: &[&str]) -> Run {
        let network = self.machine.file("tiny.toml", TINY);
        let arguments = ["train", "--network", &network, "--epochs", "0.1"];
        self.run(&[&arguments, further].concat())
    }
}

/// What a command did.
pub struct Run {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        let (stdout, stderr) = (text(output.stdout), text(output.stderr));
        Self { code: output.status.code(), stdout, stderr }
    }

    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "{}\n{}", self.stdout, self.stderr);
        self
    }

    /// Standard output of a success, as JSON.
    pub fn json(self) -> Value {
        serde_json::from_str(&self.succeeded().stdout).unwrap()
    }

    /// Standard error of a failure, which is one line.
    pub fn refused(self, code: i32) -> String {
        assert_eq!(self.code, Some(code), "{}\n{}", self.stdout, self.stderr);
        assert_eq!(self.stderr.trim_end().lines().count(), 1, "{}", self.stderr);
        self.stderr
    }
}

/// Permission bits.
pub fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

/// Asserts that `text` holds each of `parts`.
pub fn assert_says(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in: {text}");
    }
}
