//! NumPy arrays: an `.npz` archive or `.npy` files beside each other, images and labels by name.
//!
//! Arrays of Python objects are refused before their contents are looked at: to read them is to
//! run the program that they hold.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use npyz::{DType, NpyFile, Order, TypeChar};
use sphinx_network::Shape;
use zip::ZipArchive;

use super::found::{Found, Images, Part, SourceKind, Split};
use super::idx::{Layout, MAX_BYTES, channels_first, image_shape};
use super::labels::{self, RawLabels};
use super::values::Values;
use crate::error::DatasetError;
use crate::shown::{shown, shown_text};

/// What an array is, by its name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Images,
    Labels,
}

type Key = (Split, Role);

/// An array as it is read.
struct Array {
    file: String,
    shape: Vec<usize>,
    values: Values,
}

/// The set of an `.npz` archive.
///
/// # Errors
/// A [`DatasetError`] that names the array and what is wrong with it.
pub(super) fn archive(path: &Path) -> Result<Found, DatasetError> {
    let file = File::open(path).map_err(|e| DatasetError::io(path, &e))?;
    let form = |got: String| DatasetError::Form {
        file: shown(path),
        got,
        expected: "a NumPy archive".to_owned(),
    };
    let mut zip = ZipArchive::new(BufReader::new(file))
        .map_err(|e| form(format!("no readable archive ({e})")))?;
    let names: Vec<String> = zip.file_names().flatten().map(|name| name.into_owned()).collect();
    let mut arrays = BTreeMap::new();
    for name in &names {
        let stem = name.strip_suffix(".npy").unwrap_or(name);
        let Some(key) = meaning(stem) else { continue };
        let called = format!("{}[{}]", shown(path), shown_text(stem));
        let entry = zip.by_name(name).map_err(|e| form(format!("{stem} cannot be read ({e})")))?;
        arrays.insert(key, read(called, BufReader::new(entry))?);
    }
    let there: Vec<String> = names.iter().map(|name| shown_text(name)).collect();
    assemble(path, arrays, &there)
}

/// The set of the `.npy` files of a directory; `None` if there is none.
///
/// # Errors
/// As [`archive`].
pub(super) fn find(directory: &Path) -> Result<Option<Found>, DatasetError> {
    let entries = fs::read_dir(directory).map_err(|e| DatasetError::io(directory, &e))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.retain(|path| path.extension().is_some_and(|ending| ending == "npy"));
    files.sort();
    if files.is_empty() {
        return Ok(None);
    }
    let mut arrays = BTreeMap::new();
    for path in &files {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let Some(key) = meaning(&stem) else { continue };
        let file = File::open(path).map_err(|e| DatasetError::io(path, &e))?;
        arrays.insert(key, read(shown(path), BufReader::new(file))?);
    }
    let there: Vec<String> = files.iter().map(|path| shown(path)).collect();
    assemble(directory, arrays, &there).map(Some)
}

/// `train_images`, `x_train`, `val_labels`, `y`, ...: images or labels, and of which split; those
/// of none are to train on.
fn meaning(stem: &str) -> Option<Key> {
    let stem = stem.to_ascii_lowercase();
    let (mut role, mut split) = (None, None);
    for word in stem.split(['_', '-', '.']) {
        match word {
            "images" | "image" | "data" | "x" => role = Some(Role::Images),
            "labels" | "label" | "targets" | "y" => role = Some(Role::Labels),
            other => split = Some(Split::named(other)?),
        }
    }
    Some((split.unwrap_or(Split::Train), role?))
}

/// Reads an array, whose header is checked first.
fn read(file: String, reader: impl Read) -> Result<Array, DatasetError> {
    let form = |got: String| DatasetError::Form {
        file: file.clone(),
        got,
        expected: "a NumPy array of numbers".to_owned(),
    };
    let npy = NpyFile::new(reader).map_err(|e| form(format!("no readable array ({e})")))?;
    if npy.uses_pickled_array() {
        let instead = "save it as an array of numbers (astype) with allow_pickle=False".to_owned();
        return Err(DatasetError::Pickled { file, instead });
    }
    let shape: Option<Vec<usize>> = npy.shape().iter().map(|&d| usize::try_from(d).ok()).collect();
    let got = npy.shape().iter().fold(8_u64, |product, &d| product.saturating_mul(d)) / 8;
    let shape = shape.unwrap_or_default();
    if got > MAX_BYTES {
        return Err(DatasetError::TooLarge { file, got, limit: MAX_BYTES });
    }
    if npy.order() == Order::Fortran && shape.len() > 1 {
        return Err(form(
            "an array in Fortran's order (save numpy.ascontiguousarray of it)".into(),
        ));
    }
    let DType::Plain(kind) = npy.dtype() else {
        return Err(form("an array of records".to_owned()));
    };
    let (char, size) = (kind.type_char(), kind.size_field());
    let failed = |e: std::io::Error| form(format!("damaged or truncated contents ({e})"));
    let values = match (char, size) {
        (TypeChar::Uint, 1) => Values::Bytes(npy.into_vec().map_err(failed)?),
        (TypeChar::Bool, _) => {
            let bits: Vec<bool> = npy.into_vec().map_err(failed)?;
            Values::Bytes(bits.into_iter().map(|bit| if bit { 255 } else { 0 }).collect())
        }
        (TypeChar::Uint, 2) => Values::Words(npy.into_vec().map_err(failed)?),
        (TypeChar::Uint, 4) => whole(npy.into_vec::<u32>().map_err(failed)?),
        (TypeChar::Uint, 8) => {
            let values: Vec<u64> = npy.into_vec().map_err(failed)?;
            Values::Whole(
                values.into_iter().map(|v| i64::try_from(v).unwrap_or(i64::MAX)).collect(),
            )
        }
        (TypeChar::Int, 1) => whole(npy.into_vec::<i8>().map_err(failed)?),
        (TypeChar::Int, 2) => whole(npy.into_vec::<i16>().map_err(failed)?),
        (TypeChar::Int, 4) => whole(npy.into_vec::<i32>().map_err(failed)?),
        (TypeChar::Int, 8) => Values::Whole(npy.into_vec().map_err(failed)?),
        (TypeChar::Float, 4) => {
            let values: Vec<f32> = npy.into_vec().map_err(failed)?;
            Values::Real(values.into_iter().map(f64::from).collect())
        }
        (TypeChar::Float, 8) => Values::Real(npy.into_vec().map_err(failed)?),
        _ => return Err(form(format!("an array of type {kind}"))),
    };
    Ok(Array { file, shape, values })
}

fn whole<T: Into<i64>>(values: Vec<T>) -> Values {
    Values::Whole(values.into_iter().map(Into::into).collect())
}

fn assemble(
    path: &Path,
    mut arrays: BTreeMap<Key, Array>,
    there: &[String],
) -> Result<Found, DatasetError> {
    let (mut raw, mut images) = (Vec::new(), Vec::new());
    for split in Split::ALL {
        let pair = (arrays.remove(&(split, Role::Images)), arrays.remove(&(split, Role::Labels)));
        let (pictures, labels) = match pair {
            (Some(pictures), Some(labels)) => (pictures, labels),
            (None, None) => continue,
            (Some(one), None) | (None, Some(one)) => {
                let cause = format!(
                    "{} without its images or labels; there are {}",
                    one.file,
                    there.join(", ")
                );
                return Err(DatasetError::NoData { path: path.to_owned(), cause });
            }
        };
        let (shape, layout) = shape_of(&pictures)?;
        let values = label_values(labels)?;
        let count = pictures.shape.first().copied().unwrap_or_default();
        if count != values.values.len() {
            return Err(DatasetError::CountsDiffer {
                images_file: pictures.file,
                images: count as u64,
                labels_file: values.file,
                labels: values.values.len() as u64,
            });
        }
        let file = pictures.file;
        let levels = pictures.values.into_levels().map_err(|got| DatasetError::Form {
            file: file.clone(),
            got,
            expected: "levels".to_owned(),
        })?;
        images.push((split, shape, channels_first(levels, shape, layout), file));
        raw.push(values);
    }
    if images.first().is_none_or(|(split, ..)| *split != Split::Train) {
        let cause = format!(
            "no arrays called train_images and train_labels, or x_train and y_train; there are {}",
            there.join(", ")
        );
        return Err(DatasetError::NoData { path: path.to_owned(), cause });
    }
    let (classes, labels) = labels::classes(path, &raw, None)?;
    let parts = images.into_iter().zip(labels).map(|((split, shape, levels, file), labels)| Part {
        split,
        labels,
        images: Images::Array { shape, levels, file },
        owners: Vec::new(),
    });
    let (kind, notes, parts) = (SourceKind::Numpy, Vec::new(), parts.collect());
    Found { path: path.to_owned(), kind, classes, parts, notes, divided: None }.complete()
}

fn shape_of(images: &Array) -> Result<(Shape, Layout), DatasetError> {
    let shape = images.shape.get(1..).and_then(image_shape);
    shape.ok_or_else(|| DatasetError::Form {
        file: images.file.clone(),
        got: format!("an array of shape {:?}", images.shape),
        expected: "images: items, rows, columns and, if any, 1 or 3 channels".to_owned(),
    })
}

/// One label per item, in a column or not.
fn label_values(labels: Array) -> Result<RawLabels, DatasetError> {
    let Array { file, shape, values } = labels;
    let form = |got: String| DatasetError::Form {
        file: file.clone(),
        got,
        expected: "one whole number per image".to_owned(),
    };
    let items = shape.first().copied().unwrap_or_default();
    if values.len() != items {
        return Err(form(format!("an array of shape {shape:?}")));
    }
    let values = values.into_labels().map_err(form)?;
    Ok(RawLabels { file, values })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_arrays_are_understood() {
        let is = |stem, split, role: Role| {
            assert!(meaning(stem).is_some_and(|key| key == (split, role)), "{stem}");
        };
        is("train_images", Split::Train, Role::Images);
        is("val_labels", Split::Validation, Role::Labels);
        is("x_test", Split::Test, Role::Images);
        is("Y_train", Split::Train, Role::Labels);
        is("X", Split::Train, Role::Images);
        assert!(meaning("weights").is_none() && meaning("train_mask_images").is_none());
    }
}
