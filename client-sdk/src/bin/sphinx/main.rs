//! The command `sphinx`.

mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Train and use neural networks in a cloud that sees no image, label or prediction
#[derive(Debug, Parser)]
#[command(name = "sphinx", version, propagate_version = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run one of the services in this process
    Serve(serve::Serve),
}

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(serve) => serve::run(&serve),
    }
}
