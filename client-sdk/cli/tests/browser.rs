//! `sphinx studio` in a real browser, from an empty home to a recognised drawing, where Node.js,
//! Chromium, playwright-core and axe-core are at hand; says SKIPPED where not.
#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

/// Where npm has put the packages: `NODE_MODULES`, or beside the script.
fn modules(scripts: &Path) -> Option<PathBuf> {
    let folder =
        std::env::var_os("NODE_MODULES").map_or(scripts.join("node_modules"), PathBuf::from);
    let there = ["playwright-core", "axe-core"].iter().all(|name| folder.join(name).is_dir());
    there.then_some(folder)
}

/// The browser: `CHROMIUM`, or the one in PATH.
fn chromium() -> Option<PathBuf> {
    if let Some(named) = std::env::var_os("CHROMIUM") {
        return Some(named.into());
    }
    let folders = std::env::var_os("PATH")?;
    std::env::split_paths(&folders)
        .map(|folder| folder.join("chromium"))
        .find(|file| file.is_file())
}

/// A studio that ends with the test.
struct Studio(Child);

impl Drop for Studio {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        // It may have gone by itself.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        let _ = self.0.wait();
    }
}

#[test]
fn the_whole_way_in_a_browser() {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("../studio/tests/browser");
    let node = Command::new("node").arg("--version").stdout(Stdio::null()).status();
    let at_hand = node.is_ok_and(|status| status.success());
    let (Some(modules), Some(chromium), true) = (modules(&scripts), chromium(), at_hand) else {
        println!(
            "SKIPPED: needs node, chromium, and `npm install` in client-sdk/studio/tests/browser"
        );
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut studio = Command::new(env!("CARGO_BIN_EXE_sphinx"))
        .args(["studio", "--demo", "--json"])
        .env_clear()
        .env("HOME", directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .map(Studio)
        .unwrap();
    let mut line = String::new();
    let mut output = BufReader::new(studio.0.stdout.take().unwrap());
    while !line.contains("token=") {
        line.clear();
        assert!(output.read_line(&mut line).unwrap() > 0, "the studio ended");
    }
    println!("studio with services of its own: {:?}", begun.elapsed());
    let address = line.split('"').find(|part| part.starts_with("http")).unwrap().to_owned();
    let pictures = std::env::var_os("SPHINX_SCREENSHOTS").map(PathBuf::from);
    let status = Command::new("node")
        .arg(scripts.join("way.mjs"))
        .arg(address)
        .arg(pictures.as_deref().unwrap_or(directory.path()))
        .env("CHROMIUM", chromium)
        .env("NODE_MODULES", modules)
        .env("STUDIO", studio.0.id().to_string())
        .status()
        .unwrap();
    assert!(status.success(), "the browser: {status}");
}
