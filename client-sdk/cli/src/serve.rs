//! `sphinx serve`: the services without binaries of their own.

use std::process::ExitCode;

use clap::{Args, ValueEnum};
use sphinx_runtime::ServiceArgs;

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
    /// Keeps public keys
    Keyvault,
}

pub fn run(serve: &Serve) -> ExitCode {
    match serve.service {
        Service::Trainer => sphinx_trainer::main(&serve.args),
        Service::Inference => sphinx_inference::main(&serve.args),
        Service::Keyvault => sphinx_keyvault::main(&serve.args),
    }
}
