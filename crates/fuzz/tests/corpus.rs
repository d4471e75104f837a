//! Every target on the inputs that are right, on those that were found, and on many made of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::collections::BTreeSet;
use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use sphinx_fuzz::{Mutator, TARGETS, Target, corpus};

/// How long each target is run with inputs by chance; another time, in seconds, by
/// [`SECONDS_VARIABLE`].
const SECONDS: u64 = 2;
const SECONDS_VARIABLE: &str = "SPHINX_FUZZ_SECONDS";
/// Another seed than that of every run.
const SEED_VARIABLE: &str = "SPHINX_FUZZ_SEED";
/// No input may take longer.
const LONGEST: Duration = Duration::from_secs(10);

/// Runs one input. What ends it is written beside the corpus, to be put there once it is mended.
fn run(target: &Target, input: &[u8]) {
    let begun = Instant::now();
    let ended = catch_unwind(AssertUnwindSafe(|| (target.run)(input)));
    if ended.is_err() || begun.elapsed() > LONGEST {
        let path = std::env::temp_dir().join(format!("sphinx-fuzz-{}", target.name));
        fs::write(&path, input).unwrap();
        let took = begun.elapsed();
        panic!(
            "{}: {} bytes in {} end it, after {took:?}",
            target.name,
            input.len(),
            path.display()
        );
    }
}

/// Runs a target for a while, and says how often.
fn drive(target: &Target, seconds: u64, seed: u64) -> u64 {
    let known = target.known();
    known.iter().for_each(|input| run(target, input));
    let mut mutator = Mutator::new(known, seed);
    let (begun, mut runs) = (Instant::now(), 0);
    while begun.elapsed() < Duration::from_secs(seconds) {
        run(target, &mutator.make());
        runs += 1;
    }
    runs
}

#[test]
fn no_bytes_end_a_decoder() {
    let number = |name: &str, otherwise| {
        std::env::var(name).map_or(otherwise, |number| number.parse().unwrap())
    };
    let (seconds, seed) = (number(SECONDS_VARIABLE, SECONDS), number(SEED_VARIABLE, 1));
    let mut total = 0;
    // Two at a time: they wait for files now and then.
    std::thread::scope(|scope| {
        let halves = [0, 1].map(|half| {
            scope.spawn(move || {
                let own = TARGETS.iter().skip(half).step_by(2);
                own.map(|target| (target.name, drive(target, seconds, seed))).collect::<Vec<_>>()
            })
        });
        for (name, runs) in halves.into_iter().flat_map(|half| half.join().unwrap()) {
            println!("{name}: {runs} runs");
            assert!(runs > 50, "{name}: {runs} runs");
            total += runs;
        }
    });
    println!("{total} runs in all");
}

#[test]
fn every_folder_of_the_corpus_is_of_a_target() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name.to_owned()).collect();
    assert_eq!(names.len(), TARGETS.len());
    // There is none before something is found.
    for folder in fs::read_dir(corpus()).into_iter().flatten() {
        let name = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&name), "{name}");
    }
}

/// A driver that finds nothing proves nothing.
#[test]
#[should_panic(expected = "end it")]
fn the_driver_finds_what_is_there() {
    fn refuses(bytes: &[u8]) {
        assert!(!bytes.windows(3).any(|piece| piece == [0xff; 3]));
    }
    let target = Target { name: "planted", run: refuses, seeds: || vec![vec![7; 40]] };
    drive(&target, 60, 1);
}
