//! `sphinx audit`: what services recorded of who did what.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde::Serialize;
use sphinx_audit::{Verified, verify};

use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Audit {
    /// Look whether a log is what its service wrote, and name the first line that is not
    Verify(Verify),
}

/// Look whether a log is what its service wrote, and name the first line that is not
#[derive(Debug, Args)]
pub struct Verify {
    /// The files of the log, the oldest first
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// A hash that was noted from this log: it has to be there still
    #[arg(long, value_name = "HASH")]
    head: Option<String>,
}

/// A log whose chain holds.
#[derive(Serialize)]
struct Shown {
    lines: u64,
    first: u64,
    head: String,
}

impl Audit {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let Self::Verify(Verify { files, head }) = self;
        let Verified { lines, first, head } = verify(files, head.as_deref())?;
        output.result(&Shown { lines, first, head: head.clone() }, || {
            let older = match first {
                0 => String::new(),
                first => format!(", from line {first} of the log on"),
            };
            format!("{lines} lines, unbroken{older}\nhead {head}")
        })
    }
}
