//! The trainer as a process.

use std::process::ExitCode;

use sphinx_runtime::{ServiceArgs, parse_args};

fn main() -> ExitCode {
    match parse_args::<ServiceArgs>() {
        Ok(args) => sphinx_trainer::main(&args),
        Err(code) => code,
    }
}
