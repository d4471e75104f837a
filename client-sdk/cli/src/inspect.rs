//! `sphinx data`: what a data set is like, before anything is trained on it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use sphinx_client::data::shown;
use sphinx_client::data::sources;
use sphinx_client::workspace::write_new;

use crate::error::CliError;
use crate::output::Output;

/// Look at data sets
#[derive(Debug, Subcommand)]
pub enum Data {
    /// Count classes, sizes, duplicates and unreadable files of a data set
    Inspect(Inspect),
}

/// Count classes, sizes, duplicates and unreadable files of a data set
#[derive(Debug, Args)]
pub struct Inspect {
    /// The data set, in any form that `train --data` takes
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// Write a picture with some images of every class
    #[arg(long, value_name = "FILE.png")]
    contact_sheet: Option<PathBuf>,
    /// Exchange rows and columns of the images of arrays, as EMNIST needs it
    #[arg(long)]
    transpose: bool,
}

impl Data {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let Self::Inspect(Inspect { path, contact_sheet, transpose }) = self;
        let found = sources::open(path)?;
        let found = if *transpose { found.transposed() } else { found };
        let inspection = found.inspect();
        if let Some(path) = contact_sheet {
            // Of the user's images: never in the place of another file.
            write_new(path, &found.contact_sheet()).map_err(|source| {
                if source.kind() == std::io::ErrorKind::AlreadyExists {
                    CliError::SheetExists { path: path.clone() }
                } else {
                    CliError::File { path: path.clone(), source }
                }
            })?;
        }
        output.result(&inspection, || {
            let place = found.place();
            let mut text = format!("{place}\n\n{}", inspection.text());
            if let Some(path) = contact_sheet {
                text += &format!("\ncontact sheet in {}", shown(path));
            }
            text
        })
    }
}
