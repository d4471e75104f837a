//! The command `sphinx`.

mod audit;
mod bench;
mod certs;
mod config;
mod context;
mod data;
mod decrypt;
mod demo;
mod doctor;
mod epsilon;
mod error;
mod evaluate;
mod evaluate_once;
mod evaluation;
mod files;
mod infer;
mod inspect;
mod interrupt;
mod keys;
mod manual;
mod metrics_text;
mod models;
mod network;
mod numbers;
mod one_shot;
mod output;
mod passphrase;
mod privacy;
mod promise;
mod recipes;
mod report;
mod request;
mod serve;
mod studio;
mod tickets;
mod tokens;
mod train;
mod training;
mod training_display;
mod trial;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use config::GlobalArgs;
use context::Context;
use error::CliError;
use interrupt::Interrupt;
use output::Output;
use sphinx_client::defaults;

/// Train and use neural networks in a cloud that sees no image, label or prediction
#[derive(Debug, Parser)]
#[command(
    name = "sphinx",
    version,
    long_version = sphinx_telemetry::version(),
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    global: GlobalArgs,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train and test a network on this machine: services, keys and all
    Demo(demo::Demo),
    /// Make, register and list keys
    #[command(subcommand)]
    Keys(keys::Keys),
    /// Train a model, a new one or further
    Train(train::Train),
    /// Test a model on images it has not seen
    Evaluate(evaluate::Evaluate),
    /// Recognise pictures
    Infer(infer::Infer),
    /// Look at data sets
    #[command(subcommand)]
    Data(inspect::Data),
    /// Print requests for tools that speak gRPC
    #[command(subcommand)]
    Request(request::Request),
    /// Answer a request in one shot from files, without a service and without a secret key
    EvaluateOnce(evaluate_once::EvaluateOnce),
    /// Decrypt the answer to a one-shot recognition: a file, or what grpcurl prints
    Decrypt(decrypt::Decrypt),
    /// List, show, delete and export models
    #[command(subcommand)]
    Models(models::Models),
    /// Tickets of recognition: show, prepare, delete
    #[command(subcommand)]
    Tickets(tickets::Tickets),
    /// Plan and account for differential privacy
    #[command(subcommand)]
    Privacy(privacy::Privacy),
    /// Trainings that can be repeated, each with its published result
    #[command(subcommand)]
    Recipes(recipes::Recipes),
    /// Make certificates, for services that other machines reach
    #[command(subcommand)]
    Certs(certs::Certs),
    /// Make, list and revoke the credentials that services let in
    #[command(subcommand)]
    Tokens(tokens::Tokens),
    /// Read the audit logs of services
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Check addresses, certificates, credentials, keys and disk, and say what to do
    Doctor(doctor::Doctor),
    /// Print what a shell needs to complete this command
    Completions(manual::Completions),
    /// Write manual pages, one per command
    Man(manual::Man),
    /// Train, recognise and look behind the scenes in a browser on this machine
    Studio(studio::Studio),
    /// Measure what everything costs on this machine
    Bench(bench::Bench),
    /// Run one of the services in this process
    Serve(serve::Serve),
}

fn main() -> ExitCode {
    let Cli { command, global } = Cli::parse();
    if let Command::Serve(serve) = &command {
        if let Some(flag) = global.client_flag() {
            let message = format!("{flag} is for clients, a service has no use for it");
            Cli::command().error(ErrorKind::ArgumentConflict, message).exit();
        }
        return serve::run(serve);
    }
    match run(command, &global) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(),
    }
}

fn run(command: Command, global: &GlobalArgs) -> Result<(), CliError> {
    let config = config::Config::load(global)?;
    let output = Output { json: global.json };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(CliError::System)?;
    let telemetry = {
        let _within = runtime.enter();
        config.start_telemetry()?
    };
    let result = runtime.block_on(async {
        let interrupt = Interrupt::listen().map_err(CliError::System)?;
        let open = || Context::open(&config, output, interrupt.clone());
        match command {
            Command::Demo(demo) => Box::pin(demo.run(&config, output, &interrupt)).await,
            Command::Keys(keys) => interrupt.guard(keys.run(&open()?)).await,
            Command::Train(train) => Box::pin(train.run(&open()?)).await,
            Command::Evaluate(evaluate) => interrupt.guard(evaluate.run(&open()?)).await,
            Command::Infer(infer) => Box::pin(infer.run(&open()?)).await,
            Command::Data(data) => data.run(output),
            Command::Doctor(doctor) => interrupt.guard(doctor.run(&open()?)).await,
            Command::Completions(completions) => completions.run(output),
            Command::Man(man) => man.run(output),
            Command::Request(request) => interrupt.guard(request.run(&open()?)).await,
            Command::EvaluateOnce(evaluate) => evaluate.run(&open()?),
            Command::Decrypt(decrypt) => decrypt.run(&open()?),
            Command::Models(models) => interrupt.guard(models.run(&open()?)).await,
            Command::Tickets(tickets) => interrupt.guard(tickets.run(&open()?)).await,
            Command::Privacy(privacy) => privacy.run(&config, output),
            Command::Certs(certs) => certs.run(global, output),
            Command::Tokens(tokens) => tokens.run(global.tenant(), output),
            Command::Audit(audit) => audit.run(output),
            Command::Studio(studio) => studio.run(&config, output, &interrupt).await,
            Command::Recipes(recipes) => recipes.run(output, &interrupt).await,
            Command::Bench(bench) => Box::pin(bench.run(output, &interrupt)).await,
            // Taken care of above: services have a runtime of their own.
            Command::Serve(_) => Ok(()),
        }
    });
    telemetry.finish();
    // A step that was interrupted twice must not hold the process.
    runtime.shutdown_background();
    result
}
