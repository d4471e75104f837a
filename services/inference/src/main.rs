//! The inference service as a process.

use std::process::ExitCode;

use sphinx_inference::InferenceService;

fn main() -> ExitCode {
    sphinx_runtime::main::<InferenceService>()
}
