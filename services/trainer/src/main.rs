//! The trainer as a process.

use std::process::ExitCode;

use sphinx_runtime::{ServiceArgs, launch, parse_args};

fn main() -> ExitCode {
    match parse_args::<ServiceArgs>() {
        Ok(args) => launch(&sphinx_trainer::SERVICE, &args, sphinx_trainer::run),
        Err(code) => code,
    }
}
