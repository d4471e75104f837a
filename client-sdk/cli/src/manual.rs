//! `sphinx completions` and `sphinx man`: what shells and readers want to know of the command.

use std::fs;
use std::path::PathBuf;

use clap::{Args, CommandFactory};
use clap_complete::Shell;
use sphinx_client::data::shown;

use crate::Cli;
use crate::error::CliError;
use crate::output::Output;

/// Print what a shell needs to complete this command
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write manual pages, one per command
#[derive(Debug, Args)]
pub struct Man {
    /// Directory to write to, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Completions {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Cli::command(), "sphinx", &mut script);
        output.text(&String::from_utf8_lossy(&script))
    }
}

impl Man {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let failed = |source| CliError::File { path: self.directory.clone(), source };
        fs::create_dir_all(&self.directory).map_err(failed)?;
        clap_mangen::generate_to(Cli::command(), &self.directory).map_err(failed)?;
        output.text(&format!("manual pages are in {}", shown(&self.directory)))
    }
}
