//! A training that follows a directory in which pictures arrive.

use std::fs;
use std::io::{BufRead, BufReader};
use std::ops::Range;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, assert_says};

/// Pictures of these numbers, of two classes.
fn arrive(photos: &Path, numbers: Range<u32>) {
    for (class, name) in ["across", "down"].into_iter().enumerate() {
        fs::create_dir_all(photos.join(name)).unwrap();
        for number in numbers.clone() {
            let picture = image::GrayImage::from_fn(12, 12, |x, y| {
                let way = if class == 0 { y } else { x };
                let light = if way % 4 < 2 { 200 } else { 20 };
                image::Luma([light + ((x * y + number) % 50) as u8])
            });
            // Whole when it has its name.
            let (written, name) = (photos.with_extension("png"), photos.join(name));
            picture.save(&written).unwrap();
            fs::rename(written, name.join(format!("{number}.png"))).unwrap();
        }
    }
}

struct Following {
    child: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(world: &World, arguments: &[&str]) -> Self {
        let mut command = world.command(arguments);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = mpsc::channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // Nobody may listen any more.
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    /// The next line that holds this.
    fn until(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(Duration::from_secs(120)).unwrap();
            if line.contains(part) {
                return line;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_are_trained_on_as_they_arrive_also_after_a_kill() {
    let world = World::with_key().await;
    let photos = world.machine.directory.path().join("photos");
    arrive(&photos, 0..20);
    let arguments = [
        "train",
        "--follow",
        "photos",
        "--up-to",
        "160",
        "--model",
        "ways",
        "--epochs",
        "20",
        "--epsilon",
        "8",
    ];
    let mut following = Following::start(&world, &arguments);
    let plan = following.until("are due");
    assert_says(&plan, &["ways: 40 images, 0 steps"]);
    let waiting = following.until("waiting for more images");
    let steps = |line: &str| -> u64 {
        let count = line.split(" images, ").nth(1).unwrap().split(' ').next().unwrap();
        count.parse().unwrap()
    };
    let quarter = steps(&waiting);
    assert!(quarter > 0, "{waiting}");
    // Recognised meanwhile.
    let seen = world.run(&["infer", "ways", "photos/down/1.png", "--json"]).succeeded();
    assert_says(&seen.stdout, &["\"class\""]);

    arrive(&photos, 20..40);
    following.until("are due");
    // In the midst of it, or right after.
    tokio::time::sleep(Duration::from_millis(200)).await;
    following.child.kill().unwrap();
    following.child.wait().unwrap();

    let mut following = Following::start(&world, &arguments);
    let half = following.until("waiting for more images");
    assert_says(&half, &["ways: 80 images"]);
    assert!(steps(&half) == 2 * quarter || steps(&half) + 1 == 2 * quarter, "{half} {waiting}");
    let ledger = world.run(&["privacy", "show", "ways", "--json"]).json();
    assert_eq!(ledger["steps"].as_u64(), Some(steps(&half)), "{ledger}");
    assert!(ledger["epsilon"].as_f64().unwrap() < 8.0, "{ledger}");

    // What comes after the announced number is not paid for.
    arrive(&photos, 40..90);
    let end = following.until("all that were planned");
    assert_says(&end, &["ways: 180 images"]);
    assert!(following.child.wait().unwrap().success());
    let ledger = world.run(&["privacy", "show", "ways", "--json"]).json();
    assert_eq!(ledger["steps"].as_u64(), Some(steps(&end)), "{ledger}");
    assert!(ledger["epsilon"].as_f64().unwrap() <= 8.0, "{ledger}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_following_ends_by_interrupt_and_takes_no_fixed_data() {
    let world = World::with_key().await;
    let photos = world.machine.directory.path().join("photos");
    arrive(&photos, 0..10);
    let follow = ["train", "--follow", "photos", "--up-to", "400", "--model", "ways"];
    let refused = |arguments: &[&str]| {
        let run = world.run(arguments);
        assert_ne!(run.code, Some(0), "{}", run.stdout);
        run.stderr
    };
    let error = refused(&[&follow[..], &["--data", "photos"]].concat());
    assert_says(&error, &["--follow", "--data"]);
    let error = refused(&["train", "--follow", "photos", "--model", "ways"]);
    assert_says(&error, &["--up-to"]);
    let missing = ["train", "--follow", "nowhere", "--up-to", "9", "--model", "ways"];
    assert_says(&world.run(&missing).refused(1), &["nowhere"]);
    let mut following = Following::start(&world, &[&follow[..], &["--epochs", "20"]].concat());
    following.until("waiting for more images");
    kill_process(Pid::from_child(&following.child), Signal::INT).unwrap();
    assert_eq!(following.child.wait().unwrap().code(), Some(130));
}
