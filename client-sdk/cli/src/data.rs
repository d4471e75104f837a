//! `--data DIR`: the images to train on and to test with.

use std::path::PathBuf;

use clap::Args;
use sphinx_client::data::{Dataset, DatasetError, Mnist};

/// Where the images are.
#[derive(Debug, Clone, Args)]
pub struct DataArgs {
    /// Directory with the four IDX files of an MNIST-format set, plain or .gz [default: bundled MNIST]
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

impl DataArgs {
    /// Training images and test images.
    pub fn load(&self) -> Result<(Dataset, Dataset), DatasetError> {
        let set = match &self.data {
            Some(directory) => Mnist::open(directory)?,
            None => Mnist::bundled()?,
        };
        Ok(set.into_train_test())
    }
}

/// The first `limit` images of a set; all without a limit.
pub fn first(set: Dataset, limit: Option<usize>) -> Result<Dataset, DatasetError> {
    let count = match limit {
        Some(limit) if limit < set.len() => limit,
        Some(_) | None => return Ok(set),
    };
    let images = (0..count).filter_map(|index| set.image(index)).flatten().copied().collect();
    let labels = set.labels().iter().take(count).copied().collect();
    Dataset::new(images, labels, set.rows(), set.cols())
}
