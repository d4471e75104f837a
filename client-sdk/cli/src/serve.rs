//! `sphinx serve`: the services without binaries of their own.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sphinx_inference::InferenceService;
use sphinx_keyvault::KeyVaultService;
use sphinx_runtime::{ServiceArgs, launch};
use sphinx_trainer::TrainerService;

/// Run one of the services in this process
#[derive(Debug, Args)]
pub struct Serve {
    /// Which service
    #[arg(value_enum)]
    service: Service,
    #[command(flatten)]
    args: ServiceArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Service {
    /// Trains models
    Trainer,
    /// Recognises images
    Inference,
    /// Keeps public and evaluation keys
    Keyvault,
}

pub fn run(serve: &Serve) -> ExitCode {
    match serve.service {
        Service::Trainer => launch::<TrainerService>(&serve.args),
        Service::Inference => launch::<InferenceService>(&serve.args),
        Service::Keyvault => launch::<KeyVaultService>(&serve.args),
    }
}
