//! `--unit person`: whom the images belong to.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sphinx_client::{ClientError, Persons};

use crate::defaults;
use crate::error::CliError;

/// What one unit of privacy is.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Unit of privacy")]
pub struct PersonFlags {
    /// What the guarantee protects: each image, or each person with all that belongs to him
    /// [default: image]
    #[arg(long, value_enum)]
    unit: Option<Unit>,
    /// Text file with one line per training image, in their order: the person it belongs to
    #[arg(long, value_name = "FILE", requires = "unit")]
    persons: Option<PathBuf>,
    /// Most images of one person in one step; of a person with more, as many are drawn at random
    /// [default: 8]
    #[arg(long, value_name = "K", requires = "persons")]
    max_per_person: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// One image, or nothing in its place
    Image,
    /// One person with all his images, or nothing in their place
    Person,
}

impl PersonFlags {
    /// The persons, if they are the units.
    pub fn load(&self) -> Result<Option<Arc<Persons>>, CliError> {
        let path = match (self.unit, &self.persons) {
            (Some(Unit::Person), Some(path)) => path,
            (Some(Unit::Person), None) => {
                let text =
                    "--unit person needs --persons FILE, which names whom each image belongs to";
                return Err(CliError::Usage(text.to_owned()));
            }
            (Some(Unit::Image), Some(_)) => {
                return Err(CliError::Usage("--persons needs --unit person".to_owned()));
            }
            (Some(Unit::Image) | None, _) => return Ok(None),
        };
        let text = fs::read_to_string(path);
        let text = text.map_err(|source| CliError::File { path: path.clone(), source })?;
        let owners: Vec<&str> = text.lines().collect();
        let most = self.max_per_person.unwrap_or(defaults::MAX_PER_PERSON);
        Ok(Some(Arc::new(Persons::new(&owners, most).map_err(ClientError::from)?)))
    }
}
