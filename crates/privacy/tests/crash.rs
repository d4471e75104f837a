//! A process that is killed at any moment loses no acknowledged record.

#![expect(clippy::unwrap_used, reason = "helpers of tests are not in test functions")]

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_privacy::ledger::*;
use sphinx_privacy::*;

const ROUNDS: u32 = 25;
const LEDGER: &str = "SPHINX_CRASH_TEST_LEDGER";

fn binding() -> Binding {
    Binding {
        model: "m".into(),
        examples: 1000,
        delta: Delta::new(1e-5).unwrap(),
        unit: PrivacyUnit::Example,
    }
}

fn entry(step: u64) -> Entry {
    let charge = Charge::Gaussian {
        sampling_rate: SamplingRate::new(0.01).unwrap(),
        noise_multiplier: NoiseMultiplier::new(2.0).unwrap(),
        clipping_norm: 1.0,
        overflow_probability: 0.0,
    };
    Entry { session: "s".into(), step, charge, chain: None }
}

/// The bytes a process sends: they differ between processes, as fresh noise would.
fn update(step: u64, process: u32) -> Vec<u8> {
    let mut bytes = [step.to_le_bytes().as_slice(), &process.to_le_bytes()].concat();
    bytes.resize(20_000 + (step as usize * 7919) % 50_000, step as u8);
    bytes
}

/// Not a test of its own: the process that the test below kills.
#[test]
#[ignore = "run by a_killed_process_loses_nothing"]
fn writer_process() {
    let Ok(path) = std::env::var(LEDGER) else { return };
    let mut ledger = Ledger::open(Path::new(&path), &binding()).unwrap();
    let mut out = std::io::stdout();
    if let Some(step) = ledger.pending().map(|pending| pending.entry.step) {
        ledger.confirm(step).unwrap();
    }
    loop {
        let step = ledger.head().version;
        let receipt =
            ledger.reserve(&entry(step), None, &update(step, std::process::id())).unwrap();
        writeln!(out, "\nreserved {step} {}", receipt.update).unwrap();
        ledger.confirm(step).unwrap();
        writeln!(out, "\nconfirmed {step}").unwrap();
    }
}

#[test]
fn a_killed_process_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    drop(Ledger::create(&path, &binding()).unwrap());
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut acknowledged: Vec<String> = Vec::new();
    let mut pending_rounds = 0;
    for round in 0..ROUNDS {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "writer_process", "--ignored", "--nocapture"])
            .env(LEDGER, &path)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let mut acknowledge = |line: String| {
            if let Some(digest) = line.strip_prefix("reserved ").and_then(|l| l.split_once(' ')) {
                assert_eq!(digest.0.parse(), Ok(acknowledged.len()), "steps are recorded in order");
                acknowledged.push(digest.1.to_owned());
                return true;
            }
            false
        };
        // Kill at a random point after a few acknowledgements, then read what was still in the
        // pipe.
        let mut wanted = rng.random_range(0..10);
        while wanted > 0 {
            wanted -= u32::from(acknowledge(lines.next().expect("the writer died by itself")));
        }
        let moment = Instant::now() + Duration::from_micros(rng.random_range(0..12_000));
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        child.kill().unwrap();
        for line in lines {
            acknowledge(line);
        }
        child.wait().unwrap();

        let ledger = Ledger::open(&path, &binding()).unwrap();
        let found: Vec<String> =
            ledger.records().iter().map(|record| record.update.to_string()).collect();
        assert_eq!(found[..acknowledged.len()], acknowledged, "round {round}");
        // At most one more: recorded, but killed before it could say so.
        assert!(found.len() <= acknowledged.len() + 1, "round {round}");
        acknowledged = found;
        if let Some(pending) = ledger.pending() {
            pending_rounds += 1;
            assert_eq!(Digest::of(&pending.bytes).to_string(), *acknowledged.last().unwrap());
        }
    }
    println!(
        "{} records in {ROUNDS} rounds, {pending_rounds} with an update pending",
        acknowledged.len()
    );
    assert!(acknowledged.len() > ROUNDS as usize && pending_rounds > 0);
}
