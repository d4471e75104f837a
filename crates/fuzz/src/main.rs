//! The driver that follows coverage: libFuzzer on the target that `SPHINX_FUZZ_TARGET` names.
#![no_main]
#![allow(unsafe_code, reason = "libFuzzer calls a C function, which the macro writes")]
#![allow(clippy::expect_used, reason = "without a target there is nothing to do")]

use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use sphinx_fuzz::{TARGETS, Target};

fuzz_target!(|bytes: &[u8]| {
    static TARGET: OnceLock<&Target> = OnceLock::new();
    let target = TARGET.get_or_init(|| {
        let name = std::env::var("SPHINX_FUZZ_TARGET").unwrap_or_default();
        let named = TARGETS.iter().find(|target| target.name == name);
        named.expect("SPHINX_FUZZ_TARGET names a target of sphinx_fuzz::TARGETS")
    });
    (target.run)(bytes);
});
