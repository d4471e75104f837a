//! CIFAR-10 and CIFAR-100 in their binary version: one or two bytes of label and 32 × 32 pixels of
//! three colours a record, channel by channel (A. Krizhevsky,
//! <https://www.cs.toronto.edu/~kriz/cifar.html>).

use std::fs;
use std::path::{Path, PathBuf};

use sphinx_network::Shape;
use walkdir::WalkDir;

use super::found::{Found, Images, Part, SourceKind, Split};
use super::labels::{self, RawLabels};
use super::mnist::whole;
use crate::error::DatasetError;
use crate::shown::shown;

const SHAPE: Shape = Shape::new(3, 32, 32);

/// One of the two sets.
struct Form {
    /// Bytes of label before the pixels; the last of them is the class.
    labels: usize,
    /// The file that names the classes.
    names: &'static str,
}

const TEN: Form = Form { labels: 1, names: "batches.meta.txt" };
const HUNDRED: Form = Form { labels: 2, names: "fine_label_names.txt" };

/// The batches of a directory or of the one below it; `None` if there is none.
///
/// # Errors
/// [`DatasetError::Pickled`] for the version for Python; others name the file and what is wrong.
pub(super) fn find(directory: &Path) -> Result<Option<Found>, DatasetError> {
    let walk = WalkDir::new(directory).max_depth(2).follow_links(true).sort_by_file_name();
    let files: Vec<PathBuf> =
        walk.into_iter().flatten().map(walkdir::DirEntry::into_path).collect();
    let called = |name: &str| files.iter().find(|path| path.file_name().is_some_and(|n| n == name));
    let batches = (1..=5).filter_map(|number| called(&format!("data_batch_{number}.bin")));
    let batches: Vec<PathBuf> = batches.cloned().collect();
    let form = if batches.is_empty() { HUNDRED } else { TEN };
    let (train, test) = if batches.is_empty() {
        let hundred = called("train.bin").zip(called("test.bin"));
        let Some((train, test)) = hundred else { return pickled(&files) };
        (vec![train.clone()], Some(test.clone()))
    } else {
        (batches, called("test_batch.bin").cloned())
    };
    let mut notes = Vec::new();
    if form.labels == 1 && train.len() < 5 {
        notes.push(format!("{} of the five training batches are there", train.len()));
    }
    let mut raw = vec![RawLabels { file: shown(&train[0]), values: Vec::new() }];
    let mut levels = vec![Vec::new()];
    for path in &train {
        read(path, &form, &mut raw[0].values, &mut levels[0])?;
    }
    if let Some(path) = &test {
        let (mut values, mut pixels) = (Vec::new(), Vec::new());
        read(path, &form, &mut values, &mut pixels)?;
        raw.push(RawLabels { file: shown(path), values });
        levels.push(pixels);
    }
    let names = train[0].parent().map(|folder| folder.join(form.names));
    let names = names.and_then(|path| fs::read_to_string(path).ok());
    let names = names.map(|text| {
        text.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect()
    });
    let (classes, labels) = labels::classes(directory, &raw, names)?;
    let parts =
        [Split::Train, Split::Test].into_iter().zip(labels).zip(levels.into_iter().zip(raw));
    let parts = parts.map(|((split, labels), (levels, raw))| {
        let images = Images::Array { shape: SHAPE, levels, file: raw.file };
        Part { split, labels, images, owners: Vec::new() }
    });
    let (path, kind) = (directory.to_owned(), SourceKind::Cifar);
    Found { path, kind, classes, parts: parts.collect(), notes, divided: None }.complete().map(Some)
}

/// Appends the records of a batch.
fn read(
    path: &Path,
    form: &Form,
    labels: &mut Vec<i64>,
    levels: &mut Vec<u8>,
) -> Result<(), DatasetError> {
    let bytes = whole(path)?;
    let record = form.labels + SHAPE.len();
    if !bytes.len().is_multiple_of(record) || bytes.is_empty() {
        return Err(DatasetError::Form {
            file: shown(path),
            got: format!("{} bytes", bytes.len()),
            expected: format!("whole records of {record} bytes; fetch the file again"),
        });
    }
    for record in bytes.chunks_exact(record) {
        let (label, pixels) = record.split_at(form.labels);
        labels.extend(label.last().map(|label| i64::from(*label)));
        levels.extend_from_slice(pixels);
    }
    Ok(())
}

/// The version for Python is told from a directory without CIFAR.
fn pickled(files: &[PathBuf]) -> Result<Option<Found>, DatasetError> {
    let called = |path: &&PathBuf| {
        path.file_name().is_some_and(|name| name == "data_batch_1" || name == "batches.meta")
    };
    match files.iter().find(called) {
        None => Ok(None),
        Some(path) => {
            let instead = "take the binary version of CIFAR (cifar-10-binary.tar.gz)".to_owned();
            Err(DatasetError::Pickled { file: shown(path), instead })
        }
    }
}
