//! Everything that services log, record, return and store in a full run, and what a killed client
//! leaves behind, searched for images, labels, keys and decrypted values.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde_json::Value;
use sphinx_cluster::{ClusterOptions, LocalCluster, Service};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::needles::Needles;
use crate::world::{Machine, Run};

const IMAGES: usize = 240;
const TESTED: usize = 40;
const PIXELS: usize = 28 * 28;
const NETWORK: &str = r#"
name = "watched"
input = { channels = 1, height = 28, width = 28 }
layers = [
    { kind = "avg_pool", size = 4 },
    { kind = "dense", outputs = 12 },
    { kind = "quantised_tanh", levels = 8 },
    { kind = "dense", outputs = 10 },
]
"#;

/// Forwards connections and keeps all bytes of both directions.
#[derive(Clone)]
struct Recorder {
    url: String,
    bytes: Arc<Mutex<Vec<u8>>>,
}

impl Recorder {
    async fn start(upstream: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let bytes = Arc::<Mutex<Vec<u8>>>::default();
        let recorder = Self { url, bytes: Arc::clone(&bytes) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let service = TcpStream::connect(upstream.trim_start_matches("http://")).await;
                let (from_client, to_client) = client.into_split();
                let (from_service, to_service) = service.unwrap().into_split();
                tokio::spawn(forward(from_client, to_service, Arc::clone(&bytes)));
                tokio::spawn(forward(from_service, to_client, Arc::clone(&bytes)));
            }
        });
        recorder
    }
}

/// Bytes of each direction of a connection are kept together, so that frames do not tear them.
async fn forward(
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
    kept: Arc<Mutex<Vec<u8>>>,
) {
    let (mut buffer, mut own) = (vec![0; 1 << 16], Vec::new());
    while let Ok(count @ 1..) = from.read(&mut buffer).await {
        own.extend_from_slice(&buffer[..count]);
        if to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    // A killed client closes nothing.
    let _ = to.shutdown().await;
    kept.lock().unwrap().extend(own);
}

/// A user's machine, services that log all they can, and recorders between them.
struct Watched {
    machine: Machine,
    cluster: LocalCluster,
    /// Before trainer, inference and key vault.
    recorders: [Recorder; 3],
    images: Vec<u8>,
    labels: Vec<u8>,
}

impl Watched {
    async fn start() -> Self {
        let machine = Machine::new();
        let directory = machine.directory.path().to_owned();
        let mut options = ClusterOptions::new(env!("CARGO_BIN_EXE_sphinx").into());
        options.arguments = Box::new(move |launch| {
            let audit = directory.join(format!("{}.audit", launch.service.name()));
            let config = directory.join(format!("{}.toml", launch.service.name()));
            fs::write(&config, format!("[audit]\npath = {audit:?}\nsync = false\n")).unwrap();
            let mut arguments = launch.serve_arguments();
            arguments.extend(["--config".into(), config.into()]);
            arguments.extend(["--log-filter".into(), "trace".into()]);
            arguments
        });
        let cluster = LocalCluster::start(options).await.unwrap();
        let recorders = [
            Recorder::start(cluster.trainer.to_string()).await,
            Recorder::start(cluster.inference.to_string()).await,
            Recorder::start(cluster.keyvault.to_string()).await,
        ];
        fs::create_dir(machine.directory.path().join("temporary")).unwrap();
        let mut watched = Self { machine, cluster, recorders, images: vec![], labels: vec![] };
        watched.make_data();
        watched
    }

    /// Random images, so that every piece of one is found nowhere else.
    fn make_data(&mut self) {
        let mut rng = ChaCha20Rng::seed_from_u64(17);
        let count = IMAGES + TESTED;
        self.images = vec![0; count * PIXELS];
        rng.fill_bytes(&mut self.images);
        self.labels = (0..count).map(|_| rng.random_range(0..10)).collect();
        let (train, test) = self.images.split_at(IMAGES * PIXELS);
        let (train_labels, test_labels) = self.labels.split_at(IMAGES);
        let directory = self.machine.directory.path().join("data");
        fs::create_dir(&directory).unwrap();
        for (name, images, labels) in [("train", train, train_labels), ("t10k", test, test_labels)]
        {
            let count = (labels.len() as u32).to_be_bytes();
            let side = 28u32.to_be_bytes();
            let header = [&[0, 0, 8, 3], &count[..], &side, &side].concat();
            let file = directory.join(format!("{name}-images-idx3-ubyte"));
            fs::write(file, [&header, images].concat()).unwrap();
            let header = [&[0, 0, 8, 1], &count[..]].concat();
            let file = directory.join(format!("{name}-labels-idx1-ubyte"));
            fs::write(file, [&header, labels].concat()).unwrap();
        }
    }

    fn temporary(&self) -> PathBuf {
        self.machine.directory.path().join("temporary")
    }

    fn command(&self, arguments: &[&str]) -> std::process::Command {
        let [trainer, inference, keyvault] = &self.recorders;
        let mut command = self.machine.command(arguments);
        command
            .env("SPHINX_TRAINER", &trainer.url)
            .env("SPHINX_INFERENCE", &inference.url)
            .env("SPHINX_KEYVAULT", &keyvault.url)
            .env("TMPDIR", self.temporary());
        command
    }

    fn run(&self, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments))
    }

    /// Kills the command when `begun` says so.
    async fn kill(&self, arguments: &[&str], begun: impl Fn() -> bool) {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while !begun() {
            assert!(
                child.try_wait().unwrap().is_none(),
                "{arguments:?} ended before it was killed"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        child.kill().unwrap();
        child.wait().unwrap();
    }

    fn version(&self, model: &str) -> Option<u64> {
        let shown = self.run(&["models", "show", model, "--json"]);
        let shown: Value = serde_json::from_str(&shown.stdout).ok()?;
        shown["version"].as_u64()
    }

    /// Images, labels and keys of this machine.
    fn secrets(&self) -> Needles {
        let mut needles = Needles::default();
        needles.bytes("images", &self.images);
        let few = &self.images[..20 * PIXELS];
        let pixels: Vec<_> = few.iter().map(|&pixel| f32::from(pixel) / 255.0).collect();
        needles.floats("pixels", &pixels);
        needles.bytes("labels", &self.labels);
        // The secret stands before the checksum.
        let key = key_file(&self.machine.home());
        let file = fs::read(&key).unwrap();
        needles.bytes("root key", &file[file.len() - 64..file.len() - 32]);
        needles
    }

    /// What the services have written, and all that went between them and clients.
    fn evidence(&self) -> PathBuf {
        let evidence = self.machine.directory.path().join("evidence");
        fs::create_dir(&evidence).unwrap();
        for (name, recorder) in ["trainer", "inference", "keyvault"].iter().zip(&self.recorders) {
            let bytes = recorder.bytes.lock().unwrap().clone();
            assert!(bytes.len() > 10_000, "{name}: {} bytes", bytes.len());
            fs::write(evidence.join(format!("{name}.wire")), bytes).unwrap();
            let audit = format!("{name}.audit");
            fs::copy(self.machine.directory.path().join(&audit), evidence.join(audit)).unwrap();
        }
        copy(self.cluster.log(Service::Trainer).parent().unwrap(), &evidence.join("services"));
        evidence
    }
}

/// The only secret key of a home.
fn key_file(home: &Path) -> PathBuf {
    let keys = fs::read_dir(home.join("keys")).unwrap();
    let mut files = keys.map(|file| file.unwrap().path());
    let is_root =
        |path: &PathBuf| fs::read(path).is_ok_and(|bytes| bytes.starts_with(b"sphinx secret key "));
    files.find(is_root).unwrap()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &target);
        } else if path.is_file() {
            fs::copy(&path, target).unwrap();
        }
    }
}

/// The probabilities of an image's classes.
fn probabilities(seen: &Value) -> Vec<f64> {
    let probabilities = seen[0]["probabilities"].as_array().unwrap();
    probabilities.iter().map(|probability| probability.as_f64().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_secret_is_logged_recorded_returned_stored_or_left_behind() {
    let watched = Watched::start().await;
    watched.run(&["keys", "new", "--id", "mine", "--evaluation"]).succeeded();
    watched.run(&["keys", "register"]).succeeded();
    let network = watched.machine.file("watched.toml", NETWORK);
    let train = ["train", "--data", "data", "--network", &network, "--model", "m"];
    watched.run(&[&train[..], &["--epochs", "2"]].concat()).succeeded();
    watched.run(&["evaluate", "m", "--data", "data"]).succeeded();
    watched.run(&["tickets", "prepare", "m", "--count", "64"]).succeeded();
    // Pictures of the data, by all ways of recognition.
    let mut decrypted = Vec::new();
    for (index, way) in [(0, &[][..]), (1, &[]), (2, &["--one-shot"]), (3, &["--one-shot"])] {
        let pixels = watched.images[index * PIXELS..][..PIXELS].to_vec();
        let picture = image::GrayImage::from_raw(28, 28, pixels).unwrap();
        picture.save(watched.machine.directory.path().join("picture.png")).unwrap();
        let seen = watched.run(&[&["infer", "m", "picture.png", "--json"][..], way].concat());
        decrypted.push(probabilities(&seen.json()));
    }
    // Clients that are killed in the midst of it.
    let endless = ["train", "--data", "data", "--network", &network, "--model", "killed"];
    let endless = [&endless[..], &["--epochs", "20000", "--privacy", "none"]].concat();
    watched.kill(&endless, || watched.version("killed") >= Some(3)).await;
    let begun = Instant::now();
    let recognition = ["evaluate", "m", "--data", "data", "--split", "train"];
    watched.kill(&recognition, || begun.elapsed() > Duration::from_millis(60)).await;

    let mut needles = watched.secrets();
    let mut looked_for = 0;
    for probabilities in decrypted {
        let floats: Vec<_> = probabilities.iter().map(|&value| value as f32).collect();
        needles.floats("decrypted values", &floats);
        for probability in probabilities {
            looked_for += usize::from(needles.number("decrypted value", probability));
        }
    }
    assert!(looked_for > 20, "{looked_for} decrypted values to look for");
    // Connections of commands that have ended are kept by now.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let evidence = watched.evidence();
    let (found, bytes) = needles.found_below(&evidence);
    assert!(found.is_empty(), "{found:?}");
    assert!(bytes > 5_000_000, "{bytes} bytes of evidence");
    println!("{bytes} bytes of logs, records, messages and objects hold nothing of it");
    let (found, bytes) = needles.found_below(&watched.temporary());
    assert!(found.is_empty(), "{found:?}");
    println!("{bytes} bytes of temporary files hold nothing of it");

    // The search finds what is there, in each form and place.
    let image = &watched.images[5 * PIXELS..][..PIXELS];
    let key = fs::read(key_file(&watched.machine.home())).unwrap();
    let root = &key[key.len() - 64..key.len() - 32];
    let plant = |name: &str, bytes: &[u8], expected: &str| {
        let path = evidence.join("services").join(name);
        fs::write(&path, [b"odd ", bytes, b" end"].concat()).unwrap();
        let (found, _) = needles.found_below(&evidence);
        assert!(found.iter().any(|found| found.contains(expected)), "{expected}: {found:?}");
        assert!(found.iter().all(|found| found.contains(name)), "{found:?}");
        fs::remove_file(&path).unwrap();
    };
    plant("trainer.log", image, "images, raw");
    plant("object", &hex::encode(&image[3..]).into_bytes(), "images, hexadecimal");
    let pixels: Vec<u8> =
        image.iter().flat_map(|&pixel| (f32::from(pixel) / 255.0).to_le_bytes()).collect();
    plant("tensor", &pixels, "pixels, raw");
    plant("labels", format!("{:?}", &watched.labels[7..60]).as_bytes(), "labels, decimal");
    for before in 0..3 {
        let text = STANDARD.encode([&vec![1; before][..], root].concat());
        plant("base64", text.as_bytes(), "root key, base64");
    }
    plant("key", root, "root key, raw");
    let mut decrypted = Needles::default();
    assert!(decrypted.number("decrypted value", 0.123_456_78) && !decrypted.number("short", 0.125));
    assert_eq!(decrypted.found_in(b"p = 0.12345678"), ["decrypted value, decimal"]);
}
