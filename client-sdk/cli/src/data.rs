//! `--data DIR`: the images to train on and to test with.

use std::path::PathBuf;

use clap::Args;
use sphinx_client::data::sources::mnist;
use sphinx_client::data::{Dataset, DatasetError, TrainTest};

/// Where the images are.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// Directory with the four IDX files of an MNIST-format set, plain or .gz [default: bundled
    /// MNIST]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// Name of the bundled set in the ledger of data sets.
const BUNDLED: &str = "mnist";

impl DataArgs {
    /// The set that a name or a path stands for, if there is one.
    pub fn called(set: &str) -> Option<Self> {
        let directory = PathBuf::from(set);
        if set == BUNDLED {
            Some(Self { data: None })
        } else {
            directory.is_dir().then_some(Self { data: Some(directory) })
        }
    }

    /// What the ledger of data sets calls it: by its directory.
    pub fn name(&self) -> String {
        let Some(directory) = &self.data else { return BUNDLED.to_owned() };
        let whole = directory.canonicalize().unwrap_or_else(|_| directory.clone());
        let name = whole.file_name().unwrap_or(whole.as_os_str());
        name.to_string_lossy().into_owned()
    }

    /// Training images and test images.
    pub fn load(&self) -> Result<TrainTest, DatasetError> {
        match &self.data {
            Some(directory) => mnist::open(directory),
            None => sphinx_mnist::load(),
        }
    }
}

/// The first `limit` images of a set; all without a limit.
pub fn first(mut set: Dataset, limit: Option<usize>) -> Dataset {
    if let Some(limit) = limit {
        set.truncate(limit);
    }
    set
}
