//! The examples as users run them: real processes, real services, real images of MNIST.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

use std::path::{Path, PathBuf};
use std::process::Stdio;

use image::GrayImage;
use sphinx_client::data::Dataset;
use sphinx_client::{Endpoints, ModelId, SphinxClient};
use sphinx_runtime::{CancellationToken, Config, Limits, ServiceInfo};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::process::Command;

/// Images that are recognised.
const IMAGES: usize = 20;

/// The three services, and a user's directory.
struct World {
    directory: TempDir,
    endpoints: Endpoints,
    shutdown: CancellationToken,
}

impl World {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shutdown = CancellationToken::new();
        let (keyvault, address) = listen().await;
        let store = directory.path().join("store");
        std::fs::create_dir(&store).unwrap();
        let (trainer, trainer_address) = listen().await;
        let (inference, inference_address) = listen().await;
        let run = (config(&sphinx_keyvault::SERVICE, &store, &address), shutdown.clone());
        tokio::spawn(async move { sphinx_keyvault::run(run.0, keyvault, run.1).await.unwrap() });
        let run = (config(&sphinx_trainer::SERVICE, &store, &address), shutdown.clone());
        tokio::spawn(async move { sphinx_trainer::run(run.0, trainer, run.1).await.unwrap() });
        let run = (config(&sphinx_inference::SERVICE, &store, &address), shutdown.clone());
        tokio::spawn(async move { sphinx_inference::run(run.0, inference, run.1).await.unwrap() });
        let endpoints = Endpoints {
            trainer: trainer_address,
            inference: inference_address,
            keyvault: address,
            ..Endpoints::default()
        };
        Self { directory, endpoints, shutdown }
    }

    /// What an example prints.
    async fn run(&self, example: &str, arguments: &[&str], input: &[u8]) -> String {
        let mut child = Command::new(program(example))
            .args(arguments)
            .current_dir(self.directory.path())
            .env("SPHINX_TRAINER", &self.endpoints.trainer)
            .env("SPHINX_INFERENCE", &self.endpoints.inference)
            .env("SPHINX_KEYVAULT", &self.endpoints.keyvault)
            .env_remove("SPHINX_HOME")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        // Only one of them reads it.
        let _ = child.stdin.take().unwrap().write_all(input).await;
        let output = child.wait_with_output().await.unwrap();
        assert!(output.status.success(), "{example}: {}", output.status);
        String::from_utf8(output.stdout).unwrap()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.shutdown.cancel();
    }
}

fn config<L: Limits>(service: &ServiceInfo, store: &Path, keyvault: &str) -> Config<L> {
    let (store, keyvault) = (store.to_str().unwrap().to_owned(), keyvault.to_owned());
    Config { store, keyvault, ..Config::defaults(service) }
}

/// A free loopback port and its address.
async fn listen() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    (listener, address)
}

/// Where cargo puts an example of the package whose tests it runs.
fn program(example: &str) -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.parent().and_then(Path::parent).unwrap().join("examples");
    folder.join(format!("{example}{}", std::env::consts::EXE_SUFFIX))
}

/// Writes images as pictures; returns their names.
fn pictures(folder: &Path, set: &Dataset) -> Vec<String> {
    let name = |index: usize| {
        let name = format!("{index}.png");
        let levels = set.levels(index).unwrap().to_vec();
        GrayImage::from_raw(28, 28, levels).unwrap().save(folder.join(&name)).unwrap();
        name
    };
    (0..IMAGES).map(name).collect()
}

/// How many classes are the labels of the first images.
fn right(classes: &[u8], set: &Dataset) -> usize {
    assert_eq!(classes.len(), IMAGES);
    classes.iter().zip(set.labels()).filter(|(class, label)| class == label).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_trains_and_recognises_in_every_way() {
    let world = World::start().await;
    let trained = world.run("train", &["mlp-100", "1.5"], &[]).await;
    let last = trained.lines().last().unwrap();
    let accuracy: f64 = last.split(' ').next().unwrap().parse().unwrap();
    assert!(accuracy > 60.0 && last.contains("epsilon"), "{last}");

    // Trained further: the same model, key and ledger.
    let further = world.run("train", &["mlp-100", "0.1"], &[]).await;
    let client = SphinxClient::new(&world.endpoints).unwrap();
    let version = client.model(&ModelId::parse("mlp-100").unwrap()).await.unwrap().version;
    let steps = |text: &str| text.lines().filter(|line| line.starts_with("step")).count() as u64;
    assert_eq!(version, steps(&trained) + steps(&further));

    let test = sphinx_mnist::load().unwrap().test;
    let names = pictures(world.directory.path(), &test);
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let seen = world.run("recognise", &[&["mlp-100"], names.as_slice()].concat(), &[]).await;
    let class = |line: &str| line.split(' ').nth(1).unwrap().parse().unwrap();
    let recognised: Vec<u8> = seen.lines().map(class).collect();
    assert!(right(&recognised, &test) > IMAGES / 2, "{seen}");

    let levels: Vec<u8> =
        (0..IMAGES).flat_map(|index| test.levels(index).unwrap()).copied().collect();
    let seen = world.run("stream", &["mlp-100", "/dev/stdin"], &levels).await;
    let streamed: Vec<u8> = seen.lines().map(|line| line.parse().unwrap()).collect();
    assert_eq!(streamed, recognised);

    let seen = world.run("one_shot", &["mlp-100", names[0]], &[]).await;
    assert!(seen.starts_with(&recognised[0].to_string()), "{seen}");

    a_batch_job_goes_on_where_it_was(&world, &names, &recognised).await;
    a_device_recognises_by_a_read_key_and_its_tickets(&world, names[0], recognised[0]).await;
    a_web_service_answers(&world, names[0], recognised[0]).await;
}

async fn a_batch_job_goes_on_where_it_was(world: &World, names: &[&str], classes: &[u8]) {
    let inbox = world.directory.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    std::fs::write(inbox.join("broken.png"), "no picture").unwrap();
    let mut told = Vec::new();
    for some in names.chunks(IMAGES / 2) {
        for name in some {
            std::fs::copy(world.directory.path().join(name), inbox.join(name)).unwrap();
        }
        told.push(world.run("batch_job", &["mlp-100", "inbox", "out.csv"], &[]).await);
    }
    assert!(told[0].starts_with("11 pictures recognised, 0 were"), "{told:?}");
    assert!(told[1].starts_with("10 pictures recognised, 11 were"), "{told:?}");
    let lines = std::fs::read_to_string(world.directory.path().join("out.csv")).unwrap();
    for (name, class) in names.iter().zip(classes) {
        assert!(lines.contains(&format!("{name},{class},")), "{lines}");
    }
    assert_eq!((lines.lines().count(), lines.contains("broken.png,,")), (IMAGES + 1, true));
}

async fn a_device_recognises_by_a_read_key_and_its_tickets(world: &World, name: &str, class: u8) {
    let owner = sphinx_client::Workspace::open(
        &world.endpoints,
        world.directory.path().join("sphinx-home"),
    );
    let (model, file) = (ModelId::parse("mlp-100").unwrap(), world.directory.path().join("m.read"));
    owner.unwrap().export_read_key(&model, &file).await.unwrap();
    let told = world.run("phone", &["lay-in", "m.read", "30"], &[]).await;
    assert_eq!(told, "30 tickets left\n");
    let told = world.run("phone", &["look", "m.read", name, name], &[]).await;
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with(&format!("{class} (")), "{told}");
    assert_eq!(lines[2], "28 tickets left");
    let home = world.directory.path().join("sphinx-phone");
    assert!(!home.join("keys").exists() && home.join("read").exists());
}

async fn a_web_service_answers(world: &World, name: &str, class: u8) {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

    let mut child = Command::new(program("web_service"))
        .args(["mlp-100", "0"])
        .current_dir(world.directory.path())
        .env("SPHINX_TRAINER", &world.endpoints.trainer)
        .env("SPHINX_INFERENCE", &world.endpoints.inference)
        .env("SPHINX_KEYVAULT", &world.endpoints.keyvault)
        .env_remove("SPHINX_HOME")
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let address = lines.next_line().await.unwrap().unwrap();
    let host = address.strip_prefix("http://").and_then(|rest| rest.strip_suffix("/recognise"));
    let picture = std::fs::read(world.directory.path().join(name)).unwrap();
    for (body, status) in [(picture.as_slice(), "200"), (b"no picture".as_slice(), "400")] {
        let mut stream = tokio::net::TcpStream::connect(host.unwrap()).await.unwrap();
        let head = format!(
            "POST /recognise HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{answer}");
        let seen = answer.contains(&format!("\"class\":\"{class}\""));
        assert_eq!(seen, status == "200", "{answer}");
    }
}
