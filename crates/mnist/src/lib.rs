//! The MNIST database inside the program: 11 MB, for the command, tests and benches alone. What
//! reads its files, and those of other sets of its form, is [`sphinx_data::sources::mnist`].

use sphinx_data::sources::{Found, mnist};
use sphinx_data::{DatasetError, TrainTest};

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../data/mnist/", $name, ".gz"))
    };
}

const FILES: mnist::Files<'static> = mnist::Files {
    train_images: file!("train-images-idx3-ubyte"),
    train_labels: file!("train-labels-idx1-ubyte"),
    test_images: file!("t10k-images-idx3-ubyte"),
    test_labels: file!("t10k-labels-idx1-ubyte"),
};

/// 60 000 images to train on and 10 000 to test with (see `data/mnist/README.md` for the authors
/// and the licence).
///
/// Takes about half a second: 55 MB are decompressed.
///
/// # Errors
/// None that is expected: the files are part of the program.
pub fn load() -> Result<TrainTest, DatasetError> {
    found()?.into_train_test()
}

/// As [`load`], before a pipeline has seen it.
///
/// # Errors
/// As [`load`].
pub fn found() -> Result<Found, DatasetError> {
    mnist::read(FILES)
}
