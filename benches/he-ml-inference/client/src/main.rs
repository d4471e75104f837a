//! The client's stages.

mod batch;
mod features;
mod keys;
mod labels;
mod single;

use std::process::ExitCode;

use sphinx_he_common::{Instance, Model, Outcome, SubmissionError, program};

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", program());
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome<()> {
    let (stage, instance) = (program(), Instance::from_arguments()?);
    match (stage.as_str(), instance.blocks()) {
        ("client_key_generation", blocks) => keys::generate(instance, blocks),
        ("client_preprocess_input", _) => features::compute(instance, &Model::load()?),
        ("client_encode_encrypt_input", None) => single::encrypt(instance, &Model::load()?),
        ("client_encode_encrypt_input", Some(blocks)) => {
            batch::encrypt(instance, &Model::load()?, blocks)
        }
        ("client_decrypt_decode", None) => single::decrypt(instance, &Model::load()?),
        ("client_decrypt_decode", Some(blocks)) => {
            batch::decrypt(instance, &Model::load()?, blocks)
        }
        ("client_postprocess", _) => labels::choose(instance, &Model::load()?),
        _ => Err(SubmissionError::Usage { program: stage, got: String::new() }),
    }
}
