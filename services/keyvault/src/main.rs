//! The key vault as a process.

use std::process::ExitCode;

use sphinx_runtime::{ServiceArgs, parse_args};

/// Keeps public and evaluation keys; never a secret one.
fn main() -> ExitCode {
    match parse_args::<ServiceArgs>() {
        Ok(args) => sphinx_keyvault::main(&args),
        Err(code) => code,
    }
}
