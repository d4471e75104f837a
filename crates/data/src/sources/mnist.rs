//! MNIST and sets of its form (Fashion-MNIST, KMNIST, ...): 60 000 images to train on and 10 000 to
//! test with, 28 × 28 grey levels in ten classes, in four IDX files.
//!
//! The `mnist` crate parses the files. It wants them plain, all four in one directory, with exactly
//! 60 000 and 10 000 images, and panics on anything else; so every file is decompressed and checked
//! first, and the crate reads only what has passed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::Path;

use mnist::MnistBuilder;
use sphinx_network::Shape;
use tempfile::TempDir;

use super::idx::IdxFile;
use crate::classes::Classes;
use crate::dataset::{Dataset, TrainTest};
use crate::error::DatasetError;

/// Rows and columns of an image.
pub const SIDE: usize = 28;
/// Shape of an image.
pub const SHAPE: Shape = Shape::new(1, SIDE, SIDE);
/// Number of classes: the digits 0 to 9 in MNIST.
pub const CLASSES: usize = 10;

/// Contents of the four files, plain or compressed by gzip.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// `train-images-idx3-ubyte`.
    pub train_images: &'a [u8],
    /// `train-labels-idx1-ubyte`.
    pub train_labels: &'a [u8],
    /// `t10k-images-idx3-ubyte`.
    pub test_images: &'a [u8],
    /// `t10k-labels-idx1-ubyte`.
    pub test_labels: &'a [u8],
}

/// One of the two parts of a set: standard names of its files, and its number of images.
struct Part {
    images: &'static str,
    labels: &'static str,
    count: u32,
}

const TRAIN: Part =
    Part { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte", count: 60_000 };
const TEST: Part =
    Part { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte", count: 10_000 };

/// The four IDX files of `directory`, each under its standard name, plain or with `.gz`.
///
/// # Errors
/// A [`DatasetError`] that names the file and what is wrong with it.
pub fn open(directory: &Path) -> Result<TrainTest, DatasetError> {
    let checked = private_directory()?;
    for part in [&TRAIN, &TEST] {
        // One file after the other, so that a damaged one is named before a missing one.
        let images = check_images(open_either(directory, part.images)?)?;
        let labels = open_either(directory, part.labels)?;
        check_part(part, images, labels, checked.path())?;
    }
    parse(checked.path())
}

/// A set from the contents of its files, which errors call by their standard names.
///
/// # Errors
/// As [`open`].
pub fn read(files: Files<'_>) -> Result<TrainTest, DatasetError> {
    let checked = private_directory()?;
    let Files { train_images, train_labels, test_images, test_labels } = files;
    for (part, images, labels) in
        [(&TRAIN, train_images, train_labels), (&TEST, test_images, test_labels)]
    {
        let named = |name: &str, contents| (name.to_owned(), contents);
        let images = check_images(named(part.images, images))?;
        let labels = named(part.labels, labels);
        check_part(part, images, labels, checked.path())?;
    }
    parse(checked.path())
}

/// The images of a part, given by name and contents: their header says the size that they have to
/// have.
fn check_images<'a, R: Read + 'a>(
    (name, contents): (String, R),
) -> Result<IdxFile<'a, 3>, DatasetError> {
    let images = IdxFile::<3>::open(name, contents)?;
    let ([_, got_rows, got_cols], side) = (images.dimensions(), SIDE as u32);
    if (got_rows, got_cols) != (side, side) {
        return Err(DatasetError::ImageSize {
            file: images.name().to_owned(),
            got_rows,
            got_cols,
            expected_rows: side,
            expected_cols: side,
        });
    }
    Ok(images)
}

/// Checks the labels of a part, given by name and contents, against its images, and writes both,
/// plain, to `directory`.
fn check_part<R: Read>(
    part: &Part,
    images: IdxFile<'_, 3>,
    (labels, label_contents): (String, R),
    directory: &Path,
) -> Result<(), DatasetError> {
    let [image_count, ..] = images.dimensions();
    let labels = IdxFile::<1>::open(labels, label_contents)?;
    let [label_count] = labels.dimensions();
    if image_count != label_count {
        return Err(DatasetError::CountsDiffer {
            images_file: images.name().to_owned(),
            images: image_count,
            labels_file: labels.name().to_owned(),
            labels: label_count,
        });
    }
    if image_count != part.count {
        return Err(DatasetError::Count {
            file: images.name().to_owned(),
            got: image_count,
            expected: part.count,
        });
    }
    write(&directory.join(part.images), &images.into_bytes()?)?;
    write(&directory.join(part.labels), &labels.into_bytes()?)
}

/// Reads four plain files that have been checked.
fn parse(directory: &Path) -> Result<TrainTest, DatasetError> {
    let Some(base_path) = directory.to_str() else {
        return Err(io_error(directory, ErrorKind::InvalidFilename));
    };
    let parsed = MnistBuilder::new().base_path(base_path).label_format_digit().finalize();
    let set = |levels, labels| Dataset::new(levels, labels, SHAPE, Classes::numbered(CLASSES));
    Ok(TrainTest {
        train: set(parsed.trn_img, parsed.trn_lbl)?,
        test: set(parsed.tst_img, parsed.tst_lbl)?,
    })
}

/// `directory/name`, else `directory/name.gz`, and what it is called in messages.
fn open_either(directory: &Path, name: &str) -> Result<(String, File), DatasetError> {
    let tried = vec![name.to_owned(), format!("{name}.gz")];
    for candidate in &tried {
        let path = directory.join(candidate);
        match File::open(&path) {
            Ok(file) => return Ok((path.display().to_string(), file)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io_error(&path, e.kind())),
        }
    }
    Err(DatasetError::Missing { directory: directory.to_owned(), tried })
}

fn write(path: &Path, contents: &[u8]) -> Result<(), DatasetError> {
    fs::write(path, contents).map_err(|e| io_error(path, e.kind()))
}

/// A temporary directory that other users cannot read: the images may be the user's own.
fn private_directory() -> Result<TempDir, DatasetError> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("sphinx-data-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o700));
    }
    builder.tempdir().map_err(|e| io_error(&std::env::temp_dir(), e.kind()))
}

fn io_error(path: &Path, kind: ErrorKind) -> DatasetError {
    DatasetError::Io { file: path.display().to_string(), kind }
}
