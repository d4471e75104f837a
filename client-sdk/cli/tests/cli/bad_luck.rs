//! Readers that leave, full disks, and users who have had enough.

use std::fs::File;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::world::{Machine, Run, World};

fn full() -> File {
    File::options().write(true).open("/dev/full").unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_cannot_be_written_ends_no_command() {
    let world = World::with_key().await;
    let with_log = |stderr: Stdio| {
        let mut command = world.command(&["keys", "list", "--json", "--log", "trace"]);
        command.stdout(Stdio::piped()).stderr(stderr);
        command
    };
    let listed = with_log(full().into()).output().unwrap();
    assert_eq!(listed.status.code(), Some(0));
    assert!(String::from_utf8(listed.stdout).unwrap().contains("mine"));
    let mut child = with_log(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    let listed = child.wait_with_output().unwrap();
    assert_eq!(listed.status.code(), Some(0));
    assert!(String::from_utf8(listed.stdout).unwrap().contains("mine"));
    // What is wrong cannot be said either, and the code says so.
    let mut command = world.command(&["models", "show", "nosuch"]);
    assert_eq!(command.stderr(full()).status().unwrap().code(), Some(1));
    let mut train =
        world.command(&["train", "--model", "m", "--privacy", "none", "--epochs", "0.01"]);
    let trained = train.stderr(full()).stdout(Stdio::null()).status().unwrap();
    assert_eq!(trained.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_piped_has_escape_codes() {
    let world = World::with_key().await;
    let with_terminal = |arguments: &[&str]| {
        let mut command = world.command(arguments);
        command.env("TERM", "xterm-256color").env("COLORTERM", "truecolor");
        Run::of(command)
    };
    let train: &[&str] = &["train", "--model", "m", "--privacy", "none", "--epochs", "0.01"];
    for arguments in [
        &["--help"],
        train,
        &["keys", "list", "--log", "debug"],
        &["models", "list"],
        &["evaluate", "m", "--limit", "16"],
        &["models", "show", "nosuch"],
        &["frobnicate"],
    ] {
        let run = with_terminal(arguments);
        assert!(!run.stdout.is_empty() || !run.stderr.is_empty());
        for text in [&run.stdout, &run.stderr] {
            assert!(!text.contains('\x1b'), "{arguments:?}: {text}");
        }
    }
}

#[test]
fn a_second_ctrl_c_ends_at_once_what_does_not_look() {
    let machine = Machine::new();
    machine.run(&["keys", "new", "--id", "mine"]).succeeded();
    // Waits for its standard input, and for nothing else.
    let mut command = machine.command(&["decrypt"]);
    let quiet = || Stdio::null();
    let mut child = command.stdin(Stdio::piped()).stdout(quiet()).stderr(quiet()).spawn().unwrap();
    // Waiting for a child would close it.
    let _held = child.stdin.take();
    let wait = |millis| std::thread::park_timeout(Duration::from_millis(millis));
    wait(1000);
    let start = Instant::now();
    for _ in 0..2 {
        assert!(child.try_wait().unwrap().is_none());
        kill_process(Pid::from_child(&child), Signal::INT).unwrap();
        wait(200);
    }
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
}
