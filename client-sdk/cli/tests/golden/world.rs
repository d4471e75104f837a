//! A machine with a home, services and pictures of bars.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use sphinx_cluster::{ClusterOptions, Launch, LocalCluster};
use tempfile::TempDir;

/// Sides of a picture, and classes: the column in which the bar stands.
const SIDE: usize = 8;
const CLASSES: usize = 4;

const NETWORK: &str = r#"
name = "bars"
input = { channels = 1, height = 8, width = 8 }
[[layers]]
kind = "dense"
outputs = 4
"#;

/// The command that was built with this test.
pub fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_sphinx").into()
}

pub struct Machine {
    directory: TempDir,
    client: PathBuf,
    services: Option<LocalCluster>,
}

impl Machine {
    pub fn new() -> Self {
        Self::of(&program())
    }

    /// One on which this program is used.
    pub fn of(client: &Path) -> Self {
        let directory = TempDir::new().unwrap();
        Self { directory, client: client.to_owned(), services: None }
    }

    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Services by a program on the folder `store`.
    pub async fn with_services(self, program: &Path) -> Self {
        let store = self.path().join("store");
        fs::create_dir_all(&store).unwrap();
        let mut options = ClusterOptions::new(program.to_owned());
        options.arguments = Box::new(move |launch| {
            Launch { store: &store, service: launch.service, keyvault: launch.keyvault }
                .serve_arguments()
        });
        let services = LocalCluster::start(options).await.unwrap();
        Self { services: Some(services), ..self }
    }

    /// `data`, `bars.toml` and `bar.png`.
    pub fn pictures(&self) {
        let data = self.path().join("data");
        fs::create_dir(&data).unwrap();
        fs::write(self.path().join("bars.toml"), NETWORK).unwrap();
        for (split, count) in [("train", 160), ("t10k", 32)] {
            let header = |sizes: &[usize]| -> Vec<u8> {
                sizes.iter().flat_map(|size| u32::try_from(*size).unwrap().to_be_bytes()).collect()
            };
            let mut images = header(&[0x803, count, SIDE, SIDE]);
            let mut labels = header(&[0x801, count]);
            for number in 0..count {
                images.extend(bar(number));
                labels.push(u8::try_from(number % CLASSES).unwrap());
            }
            fs::write(data.join(format!("{split}-images-idx3-ubyte")), images).unwrap();
            fs::write(data.join(format!("{split}-labels-idx1-ubyte")), labels).unwrap();
        }
        let side = u32::try_from(SIDE).unwrap();
        let picture = image::GrayImage::from_raw(side, side, bar(2)).unwrap();
        picture.save(self.path().join("bar.png")).unwrap();
    }

    /// Makes a key and the model `bars`, trained for some steps.
    pub fn make_model(&self) {
        self.json(&["keys", "new", "--id", "mine", "--evaluation=packing"]);
        self.json(&["keys", "register"]);
        let options = ["--data", "data", "--epsilon", "8", "--epochs", "4"];
        let new = ["train", "--model", "bars", "--network", "bars.toml"];
        self.json(&[&new[..], &options].concat());
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(&self.client);
        command
            .args(arguments)
            .arg("--json")
            .current_dir(self.path())
            .env_clear()
            .env("HOME", self.path())
            .env("SPHINX_HOME", self.path().join("home"))
            .stdin(Stdio::null());
        if let Some(services) = &self.services {
            command
                .env("SPHINX_TRAINER", services.trainer.to_string())
                .env("SPHINX_INFERENCE", services.inference.to_string())
                .env("SPHINX_KEYVAULT", services.keyvault.to_string());
        }
        command.output().unwrap()
    }

    /// What a command that succeeds prints, null if it prints nothing.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let run = self.run(arguments);
        let error = String::from_utf8_lossy(&run.stderr);
        assert!(run.status.success(), "{arguments:?}: {error}");
        if run.stdout.is_empty() {
            return Value::Null;
        }
        serde_json::from_slice(&run.stdout).unwrap()
    }
}

/// A picture of the class that is its number modulo four.
fn bar(number: usize) -> Vec<u8> {
    let (class, shade) = (number % CLASSES, number / CLASSES);
    let level = |place: usize| {
        let (row, column) = (place / SIDE, place % SIDE);
        let bright = column / 2 == class;
        u8::try_from(if bright { 200 + (40 + 7 * shade) % 56 } else { (column * row + shade) % 40 })
            .unwrap()
    };
    (0..SIDE * SIDE).map(level).collect()
}

/// Copies a file, or a folder with all in it. Nobody else may read the copy: a key that others can
/// read is refused, and a version control system does not keep that.
pub fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
        fs::set_permissions(to, fs::Permissions::from_mode(0o600)).unwrap();
    }
}
