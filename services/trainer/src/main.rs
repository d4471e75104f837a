//! The trainer as a process.

use std::process::ExitCode;

use sphinx_trainer::TrainerService;

fn main() -> ExitCode {
    sphinx_runtime::main::<TrainerService>()
}
