//! `--unit person`: whom the images belong to.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, ValueEnum};
use sphinx_client::data::Dataset;
use sphinx_client::{ClientError, Persons, PersonsError};

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
    /// [default: what the data says, by the column `person` of a list or folders CLASS/PERSON/*]
    #[arg(long, value_name = "FILE", requires = "unit")]
    persons: Option<PathBuf>,
    /// Most images of one person in one step; of a person with more, as many are drawn at random
    /// [default: 8]
    #[arg(long, value_name = "K", requires = "unit")]
    max_per_person: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Unit {
    /// One image, or nothing in its place
    Image,
    /// One person with all his images, or nothing in their place
    Person,
}

/// Who the units are.
pub enum Units {
    /// The images.
    Images,
    /// The persons of a file.
    Named(Arc<Persons>),
    /// The persons that the data names, and the most images of each in a step.
    OfData(usize),
}

impl PersonFlags {
    /// What is asked for. What is wrong whatever the data shows here.
    pub fn load(&self) -> Result<Units, CliError> {
        let most = self.max_per_person.unwrap_or(defaults::MAX_PER_PERSON);
        let named = |owners: &[&str]| Persons::new(owners, most).map_err(ClientError::from);
        match (self.unit, &self.persons) {
            (Some(Unit::Person), Some(path)) => {
                let text = fs::read_to_string(path);
                let text = text.map_err(|source| CliError::File { path: path.clone(), source })?;
                Ok(Units::Named(Arc::new(named(&text.lines().collect::<Vec<_>>())?)))
            }
            (Some(Unit::Person), None) => {
                named(&[])?;
                Ok(Units::OfData(most))
            }
            (Some(Unit::Image), Some(_)) => {
                Err(CliError::Usage("--persons needs --unit person".to_owned()))
            }
            (Some(Unit::Image), None) if self.max_per_person.is_some() => {
                Err(CliError::Usage("--max-per-person needs --unit person".to_owned()))
            }
            (Some(Unit::Image) | None, _) => Ok(Units::Images),
        }
    }
}

impl Units {
    /// The persons of the images to train on, if they are the units.
    pub fn of(self, train: &Dataset) -> Result<Option<Arc<Persons>>, PersonsError> {
        match self {
            Self::Images => Ok(None),
            Self::Named(persons) => Ok(Some(persons)),
            Self::OfData(most) => Persons::of(train, most).map(|persons| Some(Arc::new(persons))),
        }
    }
}
