//! The MNIST database inside the program: 11 MB, for the command, tests and benches alone. What
//! reads files of its form, and other sets, is [`sphinx_data::sources`].

use std::fs::File;
use std::io::{self, copy};
use std::path::Path;

use flate2::read::GzDecoder;
use mnist::MnistBuilder;
use sphinx_data::sources::{Found, mnist as idx};
use sphinx_data::{Classes, Dataset, DatasetError, TrainTest};
use sphinx_network::Shape;

macro_rules! file {
    ($name:literal) => {
        include_bytes!(concat!("../../../data/mnist/", $name, ".gz"))
    };
}

const FILES: idx::Files<'static> = idx::Files {
    train_images: file!("train-images-idx3-ubyte"),
    train_labels: file!("train-labels-idx1-ubyte"),
    test_images: file!("t10k-images-idx3-ubyte"),
    test_labels: file!("t10k-labels-idx1-ubyte"),
};

const SHAPE: Shape = Shape::new(1, 28, 28);
const CLASSES: usize = 10;

/// 60 000 images to train on and 10 000 to test with (see `data/mnist/README.md` for the authors
/// and the licence), parsed by the crate `mnist`.
///
/// Takes about half a second: 55 MB are decompressed, to a temporary directory, because that crate
/// reads files. They are public; nothing else goes there.
///
/// # Errors
/// [`DatasetError::Io`] if no temporary file can be written.
pub fn load() -> Result<TrainTest, DatasetError> {
    let directory = tempfile::Builder::new().prefix("sphinx-mnist-").tempdir();
    let directory = directory.map_err(|error| failed(&std::env::temp_dir(), &error))?;
    let idx::Files { train_images, train_labels, test_images, test_labels } = FILES;
    for (name, compressed) in [
        ("train-images-idx3-ubyte", train_images),
        ("train-labels-idx1-ubyte", train_labels),
        ("t10k-images-idx3-ubyte", test_images),
        ("t10k-labels-idx1-ubyte", test_labels),
    ] {
        let path = directory.path().join(name);
        let written = File::create(&path)
            .and_then(|mut file| copy(&mut GzDecoder::new(compressed), &mut file));
        written.map_err(|error| failed(&path, &error))?;
    }
    let base = directory.path().to_str().ok_or_else(|| {
        failed(directory.path(), &io::Error::from(io::ErrorKind::InvalidFilename))
    })?;
    let parsed = MnistBuilder::new().base_path(base).label_format_digit().finalize();
    let set = |levels, labels| Dataset::new(levels, labels, SHAPE, Classes::numbered(CLASSES));
    Ok(TrainTest {
        train: set(parsed.trn_img, parsed.trn_lbl)?,
        test: set(parsed.tst_img, parsed.tst_lbl)?,
    })
}

fn failed(path: &Path, error: &io::Error) -> DatasetError {
    DatasetError::Io { file: path.display().to_string(), kind: error.kind() }
}

/// The set before a pipeline has seen it, as any other that is given with `--data`.
///
/// # Errors
/// None that is expected: the files are part of the program.
pub fn found() -> Result<Found, DatasetError> {
    idx::read(FILES)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two parsers, one result.
    #[test]
    fn the_set_is_the_same_whoever_parses_it() -> Result<(), DatasetError> {
        let (one, other) = (load()?, found()?.into_train_test()?);
        assert_eq!((one.train.len(), one.test.len()), (60_000, 10_000));
        assert!(one.train == other.train && one.test == other.test);
        Ok(())
    }
}
