//! The inference service as a process.

use std::process::ExitCode;

use sphinx_runtime::{ServiceArgs, parse_args};

/// Answers the linear layers of stored models, on ciphertexts and on masked integers.
fn main() -> ExitCode {
    match parse_args::<ServiceArgs>() {
        Ok(args) => sphinx_inference::main(&args),
        Err(code) => code,
    }
}
