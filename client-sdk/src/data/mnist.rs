//! MNIST and sets of its format (Fashion-MNIST, KMNIST, ...), from a directory or bundled.
//!
//! The `mnist` crate parses the files. It wants them plain, all four in one directory, with
//! exactly 60 000 and 10 000 images, and panics on anything else; so every file is decompressed
//! and checked first, and the crate reads only what has passed.

use std::fs::{self, File};
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use mnist::MnistBuilder;
use tempfile::TempDir;

use super::idx::{IdxFile, IdxKind, SIDE};
use super::{Dataset, DatasetError};

/// One of the two halves of the database.
struct Split {
    images: &'static str,
    labels: &'static str,
    count: u32,
}

const TRAIN: Split =
    Split { images: "train-images-idx3-ubyte", labels: "train-labels-idx1-ubyte", count: 60_000 };
const TEST: Split =
    Split { images: "t10k-images-idx3-ubyte", labels: "t10k-labels-idx1-ubyte", count: 10_000 };

/// 60 000 images to train on and 10 000 to test with, 28 × 28 grey levels, labels 0 to 9.
#[derive(Debug)]
pub struct Mnist {
    train: Dataset,
    test: Dataset,
}

impl Mnist {
    /// The bundled MNIST database (see `data/mnist/README.md` for its authors and licence).
    ///
    /// Takes about half a second: 55 MB are decompressed.
    ///
    /// # Errors
    /// [`DatasetError::Io`] if no temporary file can be written.
    pub fn bundled() -> Result<Self, DatasetError> {
        load(&Source::Bundled)
    }

    /// The four IDX files of `directory`, each under its standard name, plain or with `.gz`.
    ///
    /// # Errors
    /// A [`DatasetError`] that names the file and what is wrong with it.
    pub fn open(directory: &Path) -> Result<Self, DatasetError> {
        load(&Source::Directory(directory))
    }

    /// The 60 000 training images.
    pub fn train(&self) -> &Dataset {
        &self.train
    }

    /// The 10 000 test images.
    pub fn test(&self) -> &Dataset {
        &self.test
    }

    /// Training and test images, by value.
    pub fn into_train_test(self) -> (Dataset, Dataset) {
        (self.train, self.test)
    }
}

enum Source<'a> {
    Bundled,
    Directory(&'a Path),
}

impl Source<'_> {
    fn open(&self, name: &str, kind: IdxKind) -> Result<IdxFile<'_>, DatasetError> {
        match self {
            Self::Bundled => {
                let bytes = bundled_file(name).ok_or_else(|| DatasetError::Missing {
                    directory: PathBuf::from("the bundled set"),
                    tried: vec![name.to_owned()],
                })?;
                IdxFile::open(name.to_owned(), kind, bytes)
            }
            Self::Directory(directory) => {
                let (path, file) = open_either(directory, name)?;
                IdxFile::open(path.display().to_string(), kind, file)
            }
        }
    }
}

fn load(source: &Source<'_>) -> Result<Mnist, DatasetError> {
    let checked = private_directory()?;
    for split in [&TRAIN, &TEST] {
        check_split(source, split, checked.path())?;
    }
    let Some(base_path) = checked.path().to_str() else {
        return Err(io_error(checked.path(), ErrorKind::InvalidFilename));
    };
    let parsed = MnistBuilder::new().base_path(base_path).label_format_digit().finalize();
    let side = SIDE as usize;
    Ok(Mnist {
        train: Dataset::new(parsed.trn_img, parsed.trn_lbl, side, side)?,
        test: Dataset::new(parsed.tst_img, parsed.tst_lbl, side, side)?,
    })
}

/// Checks both files of a split and writes them, plain, to `directory`.
fn check_split(source: &Source<'_>, split: &Split, directory: &Path) -> Result<(), DatasetError> {
    let images = source.open(split.images, IdxKind::Images)?;
    let labels = source.open(split.labels, IdxKind::Labels)?;
    if images.count() != labels.count() {
        return Err(DatasetError::CountsDiffer {
            images_file: images.name().to_owned(),
            images: images.count(),
            labels_file: labels.name().to_owned(),
            labels: labels.count(),
        });
    }
    if images.count() != split.count {
        return Err(DatasetError::Count {
            file: images.name().to_owned(),
            got: images.count(),
            expected: split.count,
        });
    }
    for (name, file) in [(split.images, images), (split.labels, labels)] {
        let path = directory.join(name);
        fs::write(&path, file.into_bytes()?).map_err(|e| io_error(&path, e.kind()))?;
    }
    Ok(())
}

/// `directory/name`, else `directory/name.gz`.
fn open_either(directory: &Path, name: &str) -> Result<(PathBuf, impl Read + use<>), DatasetError> {
    let tried = vec![name.to_owned(), format!("{name}.gz")];
    for candidate in &tried {
        let path = directory.join(candidate);
        match File::open(&path) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(io_error(&path, e.kind())),
        }
    }
    Err(DatasetError::Missing { directory: directory.to_owned(), tried })
}

fn bundled_file(name: &str) -> Option<&'static [u8]> {
    macro_rules! bundled {
        ($name:literal) => {
            include_bytes!(concat!("../../../data/mnist/", $name, ".gz"))
        };
    }
    match name {
        "train-images-idx3-ubyte" => Some(bundled!("train-images-idx3-ubyte")),
        "train-labels-idx1-ubyte" => Some(bundled!("train-labels-idx1-ubyte")),
        "t10k-images-idx3-ubyte" => Some(bundled!("t10k-images-idx3-ubyte")),
        "t10k-labels-idx1-ubyte" => Some(bundled!("t10k-labels-idx1-ubyte")),
        _ => None,
    }
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
