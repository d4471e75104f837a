//! Pictures that arrive while the command runs: in a directory, by their paths, as bytes.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::JoinHandle;
use std::time::Duration;

use image::GrayImage;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::world::{Machine, World, assert_says};

/// Images of the test set, in its grey levels.
fn digits(count: usize) -> Vec<Vec<u8>> {
    let test = sphinx_mnist::load().unwrap().test;
    (0..count).map(|index| test.levels(index).unwrap().to_vec()).collect()
}

fn png(digit: &[u8]) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    let image = GrayImage::from_raw(28, 28, digit.to_vec()).unwrap();
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

async fn world() -> World {
    let world = World::with_key().await;
    world.train_tiny(&["--privacy", "none"]).succeeded();
    world
}

fn start(world: &World, arguments: &[&str]) -> Child {
    let mut command = world.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Exit code, standard output and standard error of `infer` with this input.
fn feed(world: &World, arguments: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut child = start(world, &[&["infer", "tiny", "-"], arguments].concat());
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// The lines of a stream as they come.
fn lines_of(stream: impl Read + Send + 'static) -> (JoinHandle<()>, Receiver<String>) {
    let (sender, lines) = mpsc::channel();
    let reader = std::thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            // Nobody may listen any more.
            let _ = sender.send(line.unwrap());
        }
    });
    (reader, lines)
}

/// What a watch has recognised, JSON line by JSON line.
struct Seen(Receiver<String>);

impl Seen {
    /// The first picture. Nothing says when the watch begins: pictures come until one is seen.
    fn first(&self, child: &mut Child, inbox: &Path, digit: &[u8]) -> Value {
        let mut sent = 0;
        loop {
            fs::write(inbox.join(format!("early-{sent}.png")), png(digit)).unwrap();
            sent += 1;
            assert!(sent < 200 && child.try_wait().unwrap().is_none(), "nothing is seen");
            if let Ok(line) = self.0.recv_timeout(Duration::from_millis(250)) {
                return serde_json::from_str(&line).unwrap();
            }
        }
    }

    fn next(&self) -> Value {
        serde_json::from_str(&self.0.recv_timeout(Duration::from_secs(20)).unwrap()).unwrap()
    }

    fn rest(&self) -> Vec<Value> {
        self.0.iter().map(|line| serde_json::from_str(&line).unwrap()).collect()
    }
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watched_directory_is_recognised_until_ctrl_c() {
    let world = world().await;
    let inbox = world.machine.directory.path().join("inbox");
    fs::create_dir(&inbox).unwrap();
    let digits = digits(4);
    let before = png(&digits[0]);
    fs::write(inbox.join("was-there.png"), &before).unwrap();
    let mut child = start(&world, &["infer", "tiny", "--watch", "inbox", "--output", "jsonl"]);
    let (reader, seen) = lines_of(child.stdout.take().unwrap());
    let seen = Seen(seen);
    let first = seen.first(&mut child, &inbox, &digits[1]);
    assert_says(first["file"].as_str().unwrap(), &["inbox", "early-"]);

    // Renamed when complete, written at once, one that is no picture, one that nobody is to see.
    fs::write(inbox.join("none.png"), "no picture").unwrap();
    fs::write(inbox.join(".hidden.png"), png(&digits[2])).unwrap();
    fs::write(inbox.join(".part"), png(&digits[2])).unwrap();
    fs::rename(inbox.join(".part"), inbox.join("renamed.png")).unwrap();
    fs::write(inbox.join("last.png"), png(&digits[3])).unwrap();
    let mut files = vec![first["file"].as_str().unwrap().to_owned()];
    while !files.last().unwrap().ends_with("last.png") {
        let next = seen.next();
        assert_eq!(next["probabilities"].as_array().unwrap().len(), 10);
        files.push(next["file"].as_str().unwrap().to_owned());
    }
    assert!(files.iter().any(|file| file.ends_with("renamed.png")), "{files:?}");
    assert!(files.iter().all(|file| !file.contains("hidden") && !file.contains("was-there")));

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0), "{stderr}");
    assert_says(&stderr, &["none.png", "not a readable PNG"]);
    reader.join().unwrap();
    // What was taken in advance is back: every ticket is unused, or was used for one picture.
    files.extend(seen.rest().iter().map(|late| late["file"].as_str().unwrap().to_owned()));
    let renamed = files.iter().filter(|file| file.ends_with("renamed.png"));
    assert_eq!(renamed.count(), 1, "{files:?}");
    let status = world.run(&["tickets", "status", "--json"]).json();
    let version = &status[0]["versions"][0];
    let count = |field: &str| version[field].as_u64().unwrap() as usize;
    assert_eq!((count("used"), count("in_use"), count("lost")), (files.len(), 0, 0));
    assert_eq!(count("unused"), 2048 - files.len());
}

/// An inference service that is killed while pictures arrive and started again. The trainer is away
/// all the time.
#[tokio::test(flavor = "multi_thread")]
async fn a_watch_outlasts_its_service() {
    let world = world().await;
    let serve = |listen: &str| {
        let mut service = world.serve_inference(listen).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(service.stdout.take().unwrap()).read_line(&mut line).unwrap();
        (service, line.trim().strip_prefix("listening on ").unwrap().to_owned())
    };
    let (mut service, address) = serve("127.0.0.1:0");
    let (inbox, digits) = (world.machine.directory.path().join("inbox"), digits(2));
    fs::create_dir(&inbox).unwrap();
    let mut command = world.command(&["infer", "tiny", "--watch", "inbox", "--output", "jsonl"]);
    command
        .env("SPHINX_INFERENCE", format!("http://{address}"))
        .env("SPHINX_TRAINER", "http://127.0.0.1:1")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (_, seen) = lines_of(child.stdout.take().unwrap());
    let (_, said) = lines_of(child.stderr.take().unwrap());
    let seen = Seen(seen);
    seen.first(&mut child, &inbox, &digits[0]);

    service.kill().unwrap();
    service.wait().unwrap();
    fs::write(inbox.join("away.png"), png(&digits[1])).unwrap();
    let trying = loop {
        let line = said.recv_timeout(Duration::from_secs(30)).unwrap();
        if line.contains("trying again") {
            break line;
        }
    };
    assert_says(&trying, &["the inference service at", "does not answer"]);
    let (mut service, _) = serve(&address);
    while !seen.next()["file"].as_str().unwrap().ends_with("away.png") {}

    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
    service.kill().unwrap();
    service.wait().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_of_bytes_and_of_paths_give_the_same_in_every_form() {
    let world = world().await;
    let digits = digits(3);
    let raw = digits.concat();
    for (name, digit) in ["a.png", "b, c.png", "d.png"].iter().zip(&digits) {
        fs::write(world.machine.directory.path().join(name), png(digit)).unwrap();
    }

    let raw_lines = ["--format", "raw", "--output"];
    let (code, jsonl, stderr) = feed(&world, &[&raw_lines[..], &["jsonl"]].concat(), &raw);
    assert_eq!(code, Some(0), "{stderr}");
    let jsonl = lines(&jsonl);
    let names: Vec<_> = jsonl.iter().map(|line| line["file"].as_str().unwrap()).collect();
    assert_eq!(names, ["0", "1", "2"]);
    let classes: Vec<u64> = jsonl.iter().map(|line| line["class"].as_u64().unwrap()).collect();
    let sum = |line: &Value| -> f64 {
        line["probabilities"].as_array().unwrap().iter().map(|p| p.as_f64().unwrap()).sum()
    };
    assert!(jsonl.iter().all(|line| (sum(line) - 1.0).abs() < 1e-5));

    // One after the other, with the same result.
    let one = [&raw_lines[..], &["csv", "--at-once", "1"]].concat();
    let (code, csv, stderr) = feed(&world, &one, &raw);
    assert_eq!(code, Some(0), "{stderr}");
    let mut rows = csv.lines();
    let header = "file,class,probability,p0,p1,p2,p3,p4,p5,p6,p7,p8,p9,milliseconds";
    assert_eq!(rows.next(), Some(header));
    let column = |row: &str, index: usize| row.split(',').nth(index).unwrap().to_owned();
    let of_rows: Vec<u64> = rows.map(|row| column(row, 1).parse().unwrap()).collect();
    assert_eq!(of_rows, classes);

    let (code, table, stderr) = feed(&world, &["--output", "table"], b"a.png\nb, c.png\r\n\nd.png");
    assert_eq!(code, Some(0), "{stderr}");
    let rows: Vec<&str> = table.lines().collect();
    assert_says(rows[0], &["FILE", "CLASS", "PROBABILITY"]);
    let of_rows: Vec<u64> = rows[1..]
        .iter()
        .map(|row| row.split_whitespace().rev().nth(2).unwrap().parse().unwrap())
        .collect();
    assert_eq!(of_rows, classes);

    // --json has lines when there is no end in sight, and one document otherwise.
    let (code, json, stderr) = feed(&world, &["--json"], b"a.png\nb, c.png\n");
    assert_eq!((code, lines(&json).len()), (Some(0), 2), "{stderr}");
    let csv = world.run(&["infer", "tiny", "b, c.png", "--output", "csv"]).succeeded().stdout;
    assert_says(&csv, &["\n\"b, c.png\",", &format!(",{},", classes[1])]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_what_is_no_image_and_goes_on_with_the_rest() {
    let world = world().await;
    let digit = &digits(1)[0];
    let directory = world.machine.directory.path();
    fs::write(directory.join("a.png"), png(digit)).unwrap();
    fs::write(directory.join("blank.png"), png(&[7; 784])).unwrap();
    fs::write(directory.join("cut.png"), &png(digit)[..60]).unwrap();
    fs::write(directory.join("a.gif"), b"GIF89a\x01\0\x01\0").unwrap();
    let paths = b"a.png\nmissing.png\nblank.png\ncut.png\na.gif\na.png\n";
    let (code, stdout, stderr) = feed(&world, &["--output", "jsonl"], paths);
    assert_eq!((code, lines(&stdout).len()), (Some(1), 2), "{stderr}");
    assert_says(
        &stderr,
        &["missing.png: ", "blank.png: the image is blank", "cut.png: the picture is cut off"],
    );
    assert_says(
        &stderr,
        &["a.gif: the picture is cut off", "4 of 6 images could not be recognised"],
    );

    // An image and a bit: one of another size comes out of step here.
    let raw = [digit.as_slice(), &[0; 10]].concat();
    let (code, stdout, stderr) = feed(&world, &["--format", "raw", "--output", "jsonl"], &raw);
    assert_eq!((code, lines(&stdout).len()), (Some(1), 1), "{stderr}");
    assert_says(&stderr, &["standard input ended within an image: 10 of 784 bytes; see --format"]);
    let (code, stdout, stderr) = feed(&world, &["--output", "csv"], b"");
    assert_eq!((code, stdout.as_str(), stderr.as_str()), (Some(0), "", ""), "no input is no error");
}

#[test]
fn rejects_command_lines_that_contradict_themselves() {
    let machine = Machine::new();
    let error = machine.run(&["infer", "tiny", "-", "a.png"]).refused(2);
    assert_says(&error, &["stands alone"]);
    // Before any service is asked.
    let error = machine.run(&["infer", "tiny", "--watch", "nowhere"]).refused(1);
    assert_says(&error, &["nowhere cannot be watched"]);
    machine.file("a.png", "no picture");
    let error = machine.run(&["infer", "tiny", "--watch", "a.png"]).refused(1);
    assert_says(&error, &["a.png cannot be watched: it is a file"]);
    for arguments in [&["infer", "tiny"][..], &["infer", "tiny", "a.png", "--watch", "."]] {
        assert_eq!(machine.run(arguments).code, Some(2));
    }
}
