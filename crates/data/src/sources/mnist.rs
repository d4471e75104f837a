//! Sets in IDX files, as MNIST, Fashion-MNIST, KMNIST, EMNIST and QMNIST come: any number of
//! images, any size, plain or compressed, under any of the usual names.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::found::{Found, Images, Part, SourceKind, Split};
use super::idx::{IdxFile, channels_first};
use super::labels::{self, RawLabels};
use crate::dataset::TrainTest;
use crate::error::DatasetError;
use crate::shown::shown;

/// Folders that files are looked for in, below the one that was named.
const DEPTH: usize = 3;

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

/// What a file's name says that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Images,
    Labels,
}

/// A set in one folder: the part of the names before the split tells sets apart.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SetName {
    folder: PathBuf,
    prefix: String,
}

type Parts = BTreeMap<(Split, Role), PathBuf>;

/// The IDX files of a directory or of those below it; `None` if there is none.
///
/// # Errors
/// A [`DatasetError`] that names the file and what is wrong with it.
pub(super) fn find(directory: &Path) -> Result<Option<Found>, DatasetError> {
    let (sets, notes) = sets(directory)?;
    let mut sets = sets.into_iter();
    let Some((_, files)) = sets.next() else { return Ok(None) };
    if let Some((other, _)) = sets.next() {
        let cause = format!(
            "IDX files of several sets, {}… in {} among them; name a folder that holds one",
            other.prefix,
            shown(&other.folder)
        );
        return Err(DatasetError::NoData { path: directory.to_owned(), cause });
    }
    let mut pairs = Vec::new();
    for split in Split::ALL {
        let file = |role| files.get(&(split, role));
        match (file(Role::Images), file(Role::Labels)) {
            (Some(images), Some(labels)) => {
                pairs.push((split, opened(images)?, opened(labels)?));
            }
            (None, None) => {}
            (Some(one), None) | (None, Some(one)) => {
                let missing = if file(Role::Images).is_some() { "labels" } else { "images" };
                let cause = format!("{} is there, its {missing} are not", shown(one));
                return Err(DatasetError::NoData { path: directory.to_owned(), cause });
            }
        }
    }
    let found = assemble(directory, pairs)?;
    Ok(Some(Found { notes: [found.notes, notes].concat(), ..found }))
}

/// As the `open` of every source: the training and test images of a directory, as they are.
///
/// # Errors
/// A [`DatasetError`] that names the file and what is wrong with it.
pub fn open(directory: &Path) -> Result<TrainTest, DatasetError> {
    let cause = "no IDX file".to_owned();
    let missing = || DatasetError::NoData { path: directory.to_owned(), cause };
    find(directory)?.ok_or_else(missing)?.into_train_test()
}

/// A set from the contents of its files, which errors call by their standard names.
///
/// # Errors
/// As [`open`].
pub fn read(files: Files<'_>) -> Result<Found, DatasetError> {
    let Files { train_images, train_labels, test_images, test_labels } = files;
    let file = |name: &str, contents| IdxFile::open(name.to_owned(), contents);
    let pairs = vec![
        (
            Split::Train,
            file("train-images-idx3-ubyte", train_images)?,
            file("train-labels-idx1-ubyte", train_labels)?,
        ),
        (
            Split::Test,
            file("t10k-images-idx3-ubyte", test_images)?,
            file("t10k-labels-idx1-ubyte", test_labels)?,
        ),
    ];
    let found = assemble(Path::new("MNIST"), pairs)?;
    Ok(Found { kind: SourceKind::Bundled, ..found })
}

/// Images and labels by split, checked against each other.
fn assemble(
    path: &Path,
    pairs: Vec<(Split, IdxFile<'_>, IdxFile<'_>)>,
) -> Result<Found, DatasetError> {
    let (mut raw, mut images) = (Vec::new(), Vec::new());
    for (split, image_file, label_file) in pairs {
        // Headers before contents: whatever is wrong shows at once.
        let (shape, layout) = image_file.shape()?;
        if image_file.items() != label_file.items() {
            return Err(DatasetError::CountsDiffer {
                images_file: image_file.name().to_owned(),
                images: image_file.items(),
                labels_file: label_file.name().to_owned(),
                labels: label_file.items(),
            });
        }
        let form = |file: &str, got: String, expected: &str| DatasetError::Form {
            file: file.to_owned(),
            got,
            expected: expected.to_owned(),
        };
        let (file, labels_name) = (image_file.name().to_owned(), label_file.name().to_owned());
        let values = image_file.into_values()?.into_levels();
        let levels = values.map_err(|got| form(&file, got, "levels"))?;
        let values = label_file.into_values()?.into_labels();
        let values = values.map_err(|got| form(&labels_name, got, "labels"))?;
        images.push((split, shape, channels_first(levels, shape, layout), file));
        raw.push(RawLabels { file: labels_name, values });
    }
    let (classes, labels) = labels::classes(path, &raw, None)?;
    let parts = images.into_iter().zip(labels).map(|((split, shape, levels, file), labels)| Part {
        split,
        labels,
        images: Images::Array { shape, levels, file },
        owners: Vec::new(),
    });
    let (kind, notes, parts) = (SourceKind::Idx, Vec::new(), parts.collect());
    Found { path: path.to_owned(), kind, classes, parts, notes, divided: None }.complete()
}

fn opened(path: &Path) -> Result<IdxFile<'static>, DatasetError> {
    let file = File::open(path).map_err(|e| DatasetError::io(path, &e))?;
    IdxFile::open(shown(path), file)
}

/// The sets of IDX files in a directory and below it, and what is to be said of them. Of a plain
/// file and a compressed one of the same name the plain one counts, unless it is empty.
fn sets(directory: &Path) -> Result<(BTreeMap<SetName, Parts>, Vec<String>), DatasetError> {
    let (mut sets, mut notes) = (BTreeMap::<SetName, Parts>::new(), Vec::new());
    let walk = WalkDir::new(directory).max_depth(DEPTH).follow_links(true).sort_by_file_name();
    for entry in walk {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name().to_string_lossy();
        let Some((prefix, split, role)) = meaning(&name) else { continue };
        if !entry.path().is_file() {
            continue;
        }
        let folder = entry.path().parent().unwrap_or(directory).to_owned();
        let parts = sets.entry(SetName { folder, prefix }).or_default();
        let path = entry.into_path();
        // `x` comes before `x.gz`.
        match parts.get(&(split, role)) {
            Some(plain) if fs::metadata(plain).is_ok_and(|file| file.len() > 0) => {}
            Some(plain) => {
                notes.push(format!("{} is empty; {} is read instead", shown(plain), shown(&path)));
                parts.insert((split, role), path);
            }
            None => {
                parts.insert((split, role), path);
            }
        }
    }
    Ok((sets, notes))
}

/// What the name of an IDX file says: what stands before the split, the split, and what is in it.
fn meaning(name: &str) -> Option<(String, Split, Role)> {
    let name = name.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").unwrap_or(&name);
    if !["idx1", "idx3", "idx4"].iter().any(|idx| name.contains(idx)) {
        return None;
    }
    let role = match (name.contains("image"), name.contains("label")) {
        (true, false) => Role::Images,
        (false, true) => Role::Labels,
        (true, true) | (false, false) => return None,
    };
    let mut before = Vec::new();
    for word in name.split(['-', '.', '_']) {
        if let Some(split) = Split::named(word) {
            return Some((before.join("-"), split, role));
        }
        before.push(word);
    }
    None
}

/// Reads a whole file of at most [`super::idx::MAX_BYTES`].
pub(super) fn whole(path: &Path) -> Result<Vec<u8>, DatasetError> {
    let file = File::open(path).map_err(|e| DatasetError::io(path, &e))?;
    let limit = super::idx::MAX_BYTES;
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(|e| DatasetError::io(path, &e))?;
    if bytes.len() as u64 > limit {
        let (file, got) = (shown(path), bytes.len() as u64);
        return Err(DatasetError::TooLarge { file, got, limit });
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usual_names_are_understood() {
        for (name, expected) in [
            ("train-images-idx3-ubyte", ("", Split::Train, Role::Images)),
            ("t10k-labels.idx1-ubyte.gz", ("", Split::Test, Role::Labels)),
            (
                "emnist-letters-test-labels-idx1-ubyte.gz",
                ("emnist-letters", Split::Test, Role::Labels),
            ),
            ("qmnist-train-images-idx3-ubyte.gz", ("qmnist", Split::Train, Role::Images)),
        ] {
            let (prefix, split, role) = meaning(name).unwrap();
            assert_eq!((prefix.as_str(), split, role), expected, "{name}");
        }
        for name in ["README.md", "train-images.png", "idx3-ubyte", "train-idx3-ubyte"] {
            assert_eq!(meaning(name), None, "{name}");
        }
    }
}
