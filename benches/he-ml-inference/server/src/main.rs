//! The server's stages. This program cannot hold a secret key.

mod batch;
mod single;

use std::process::ExitCode;

use sphinx_he_common::{Instance, Model, Outcome, SubmissionError, program};

fn main() -> ExitCode {
    let done = match program().as_str() {
        // Weights are made ready where they are used: some milliseconds.
        "server_preprocess_model" => Model::load().map(drop),
        "server_encrypted_compute" => compute(),
        _ => Err(SubmissionError::Usage { program: program(), got: String::new() }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", program());
            ExitCode::FAILURE
        }
    }
}

fn compute() -> Outcome<()> {
    let (instance, model) = (Instance::from_arguments()?, Model::load()?);
    match instance.blocks() {
        None => single::compute(instance, &model),
        Some(blocks) => batch::compute(instance, &model, blocks),
    }
}
