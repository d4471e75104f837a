//! Pictures in folders: `train/CLASS/*` and `test/CLASS/*`, or `CLASS/*` alone. Folders within that
//! of a class may be those of persons.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::found::{Found, Images, Part, SourceKind, Split};
use crate::classes::Classes;
use crate::error::DatasetError;
use crate::shown::{shown, shown_text};

/// Endings of files that lie beside pictures and are none.
const OTHERS: [&str; 14] = [
    "txt", "md", "json", "csv", "tsv", "xml", "yaml", "yml", "html", "db", "ini", "log", "py",
    "toml",
];

/// A picture and the folder of its class that it lies in, "" for none.
struct File {
    path: PathBuf,
    owner: String,
}

/// Pictures by class.
type ByClass = BTreeMap<String, Vec<File>>;

/// The pictures of a directory; `None` if it has no folders.
///
/// # Errors
/// A [`DatasetError`] that names the folder and what is wrong with it.
pub(super) fn find(directory: &Path) -> Result<Option<Found>, DatasetError> {
    let folders = folders(directory)?;
    let mut splits: BTreeMap<Split, PathBuf> = BTreeMap::new();
    for (name, path) in &folders {
        if let Some(split) = Split::named(name) {
            splits.insert(split, path.clone());
        }
    }
    if folders.is_empty() {
        return Ok(None);
    }
    let mut notes = Vec::new();
    let mut read = BTreeMap::new();
    if splits.contains_key(&Split::Train) {
        for (split, path) in &splits {
            read.insert(*split, by_class(path, &mut notes)?);
        }
    } else {
        read.insert(Split::Train, by_class(directory, &mut notes)?);
    }
    let names: Vec<String> = read[&Split::Train].keys().cloned().collect();
    check(directory, &names, &read)?;
    let parts = read.into_iter().map(|(split, classes)| {
        let (mut labels, mut files, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (class, pictures) in classes {
            let number = names.binary_search(&class).unwrap_or_default() as u8;
            labels.extend(pictures.iter().map(|_| number));
            for File { path, owner } in pictures {
                files.push(path);
                owners.push(owner);
            }
        }
        if owners.iter().all(String::is_empty) {
            owners.clear();
        }
        Part { split, labels, images: Images::Files(files), owners }
    });
    let (path, kind, parts) = (directory.to_owned(), SourceKind::Folder, parts.collect());
    let classes = Classes::named(names);
    Found { path, kind, classes, parts, notes, divided: None }.complete().map(Some)
}

fn check(
    directory: &Path,
    names: &[String],
    read: &BTreeMap<Split, ByClass>,
) -> Result<(), DatasetError> {
    let path = || directory.to_owned();
    match names {
        [] => Err(DatasetError::NoImage { path: path(), wanted: "to train on".to_owned() }),
        [class] => Err(DatasetError::OneClass { path: path(), class: class.clone() }),
        more if more.len() > 256 => {
            Err(DatasetError::ManyClasses { path: path(), got: more.len() })
        }
        _ => {
            let strange = |(split, classes): (&Split, &ByClass)| {
                let class = classes.keys().find(|class| names.binary_search(class).is_err())?;
                Some((*split, class.clone()))
            };
            match read.iter().find_map(strange) {
                None => Ok(()),
                Some((split, class)) => Err(DatasetError::NoData {
                    path: path(),
                    cause: format!(
                        "the class {:?} of the {split} split is not among those to train on",
                        shown_text(&class)
                    ),
                }),
            }
        }
    }
}

/// Folders by name, hidden ones left out.
fn folders(directory: &Path) -> Result<Vec<(String, PathBuf)>, DatasetError> {
    let entries = fs::read_dir(directory).map_err(|e| DatasetError::io(directory, &e))?;
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| DatasetError::io(directory, &e))?.path();
        let name = path.file_name().unwrap_or_default();
        if path.is_dir() && !name.as_encoded_bytes().starts_with(b".") {
            found.push((name.to_string_lossy().into_owned(), path));
        }
    }
    found.sort();
    Ok(found)
}

/// The pictures of each folder, in the order of their paths.
fn by_class(directory: &Path, notes: &mut Vec<String>) -> Result<ByClass, DatasetError> {
    let mut classes = ByClass::new();
    let mut others = 0;
    for (class, folder) in folders(directory)? {
        let mut pictures = Vec::new();
        for entry in WalkDir::new(&folder).follow_links(true).sort_by_file_name() {
            let entry = entry.map_err(|error| DatasetError::Io {
                file: shown(error.path().unwrap_or(&folder)),
                kind: error.io_error().map_or(std::io::ErrorKind::Other, std::io::Error::kind),
            })?;
            let hidden = entry.file_name().as_encoded_bytes().starts_with(b".");
            if !entry.file_type().is_file() || hidden {
                continue;
            }
            if is_other(entry.path()) {
                others += 1;
            } else {
                let path = entry.into_path();
                pictures.push(File { owner: owner(&folder, &path), path });
            }
        }
        if pictures.is_empty() {
            let wanted = format!("of the class {class:?}: remove the empty folder or fill it");
            return Err(DatasetError::NoImage { path: folder, wanted });
        }
        classes.insert(class, pictures);
    }
    if others > 0 {
        notes
            .push(format!("{others} files in {} are no pictures by their names", shown(directory)));
    }
    Ok(classes)
}

/// The first folder on the way from a class to a picture.
fn owner(class: &Path, picture: &Path) -> String {
    let mut way = picture.strip_prefix(class).unwrap_or(Path::new("")).iter();
    match (way.next(), way.next()) {
        (Some(folder), Some(_)) => folder.to_string_lossy().into_owned(),
        _ => String::new(),
    }
}

fn is_other(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
    ending.is_some_and(|ending| OTHERS.contains(&ending.as_str()))
}
