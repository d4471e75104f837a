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

impl DataArgs {
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
