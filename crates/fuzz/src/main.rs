//! The driver that follows coverage: libFuzzer on the target that `SPHINX_FUZZ_TARGET` names, whose
//! known inputs are first written to the folder `SPHINX_FUZZ_SEEDS`; without a target it prints
//! their names.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a C function, which the macro writes")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "for tests")]

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, fs, process};

use libfuzzer_sys::fuzz_target;
use sphinx_fuzz::{TARGETS, Target};

static TARGET: OnceLock<&Target> = OnceLock::new();

fuzz_target!(
    init: begin(),
    |bytes: &[u8]| {
        let target = TARGET.get().expect("libFuzzer calls what begins first");
        (target.run)(bytes);
    }
);

/// Finds the target, and writes its known inputs before libFuzzer reads them.
fn begin() {
    let Ok(name) = env::var("SPHINX_FUZZ_TARGET") else {
        TARGETS.iter().for_each(|target| println!("{}", target.name));
        process::exit(0);
    };
    let named = Target::named(&name);
    let target = TARGET.get_or_init(|| named.expect("a name of sphinx_fuzz::TARGETS"));
    let Some(folder) = env::var_os("SPHINX_FUZZ_SEEDS").map(PathBuf::from) else { return };
    fs::create_dir_all(&folder).unwrap();
    for (number, input) in target.known().iter().enumerate() {
        fs::write(folder.join(format!("seed-{number}")), input).unwrap();
    }
}
