//! Where images come from: each module knows one form of files.
//!
//! A source has a function from a path to a [`Found`]: images counted and measured, bad files
//! refused before their contents are believed. [`Found::load`] makes of it what a network takes.

mod cifar;
mod folder;
mod found;
mod gzip;
mod idx;
mod labels;
mod load;
mod manifest;
pub mod mnist;
mod numpy;
mod split;
mod values;

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

pub use found::{Found, SourceKind, Split};
pub(crate) use found::{Images, Part};
pub use load::{Loaded, Unreadable};
pub use split::{SPLIT_SEED, TEST_SHARE};

use crate::error::DatasetError;
use crate::shown::shown;

/// The data set at a path, told apart by what it is: a folder of IDX files, of CIFAR batches, of
/// `.npy` arrays or of pictures by class, an `.npz` archive, a CSV list, or a folder that holds one
/// of these.
///
/// # Errors
/// [`DatasetError::NoData`] if it is nothing of that; others name the file and what is wrong.
pub fn open(path: &Path) -> Result<Found, DatasetError> {
    let metadata = fs::metadata(path).map_err(|e| DatasetError::io(path, &e))?;
    if metadata.is_dir() { directory(path) } else { file(path) }
}

fn directory(path: &Path) -> Result<Found, DatasetError> {
    if let Some(found) = mnist::find(path)? {
        return Ok(found);
    }
    if let Some(found) = cifar::find(path)? {
        return Ok(found);
    }
    if let Some(found) = numpy::find(path)? {
        return Ok(found);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(|e| DatasetError::io(path, &e))? {
        files.push(entry.map_err(|e| DatasetError::io(path, &e))?.path());
    }
    files.sort();
    let ends = |ending: &str| -> Vec<&PathBuf> {
        files.iter().filter(|file| file.extension().is_some_and(|e| e == ending)).collect()
    };
    if let [archive] = ends("npz").as_slice() {
        return numpy::archive(archive);
    }
    if let [list] = ends("csv").as_slice() {
        return manifest::read(list);
    }
    if let Some(found) = folder::find(path)? {
        return Ok(found);
    }
    let cause = match files.as_slice() {
        [] => "the folder is empty".to_owned(),
        [first, ..] => {
            format!("{} files and no folder of a class, {} first", files.len(), shown(first))
        }
    };
    Err(DatasetError::NoData { path: path.to_owned(), cause })
}

fn file(path: &Path) -> Result<Found, DatasetError> {
    let mut start = Vec::new();
    let file = File::open(path).map_err(|e| DatasetError::io(path, &e))?;
    file.take(8).read_to_end(&mut start).map_err(|e| DatasetError::io(path, &e))?;
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    match (start.as_slice(), ending.as_deref()) {
        ([b'P', b'K', ..], _) => numpy::archive(path),
        (_, Some("csv" | "tsv")) => manifest::read(path),
        ([0x80, 2..=5, ..], _) | (_, Some("pkl" | "pickle")) => {
            let instead = "save arrays of numbers with numpy.savez".to_owned();
            Err(DatasetError::Pickled { file: shown(path), instead })
        }
        (_, ending) => {
            let cause = match ending {
                Some("npy" | "gz") => "one file of several; name the folder that they are in",
                _ if start.is_empty() => "an empty file",
                _ => "a file of another kind",
            };
            Err(DatasetError::NoData { path: path.to_owned(), cause: cause.to_owned() })
        }
    }
}
