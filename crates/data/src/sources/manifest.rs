//! Pictures in a list: a CSV file with the columns `path`, `label` and, if wanted, `split` and
//! `person`. Paths are relative to the list.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::found::{Found, Images, Part, SourceKind, Split};
use super::split;
use crate::classes::Classes;
use crate::error::DatasetError;
use crate::shown::{shown, shown_text};

#[derive(Deserialize)]
struct Row {
    path: String,
    label: String,
    #[serde(default)]
    split: Option<String>,
    #[serde(default)]
    person: Option<String>,
}

/// A row that has been checked.
struct Item {
    file: PathBuf,
    name: String,
    label: String,
    split: Option<Split>,
    person: Option<String>,
}

/// The set of a list.
///
/// # Errors
/// [`DatasetError::Manifest`] with the line; others as for folders.
pub(super) fn read(path: &Path) -> Result<Found, DatasetError> {
    let items = items(path)?;
    let names: BTreeSet<&String> = items.iter().map(|item| &item.label).collect();
    let names: Vec<String> = names.into_iter().cloned().collect();
    match names.as_slice() {
        [] => {
            let wanted = "to train on".to_owned();
            return Err(DatasetError::NoImage { path: path.to_owned(), wanted });
        }
        [class] => {
            return Err(DatasetError::OneClass { path: path.to_owned(), class: class.clone() });
        }
        more if more.len() > 256 => {
            return Err(DatasetError::ManyClasses { path: path.to_owned(), got: more.len() });
        }
        _ => {}
    }
    let label = |item: &Item| names.binary_search(&item.label).unwrap_or_default() as u8;
    let (mut splits, mut notes) = (items.iter().map(|item| item.split).collect::<Vec<_>>(), vec![]);
    if splits.iter().all(Option::is_none) {
        let labels: Vec<u8> = items.iter().map(label).collect();
        let files: Vec<String> = items.iter().map(|item| item.name.clone()).collect();
        let persons: Option<Vec<String>> = items.iter().map(|item| item.person.clone()).collect();
        notes.push(split::note(if persons.is_some() { "persons" } else { "images of each class" }));
        let test = split::for_test(&labels, &files, persons.as_deref());
        let of = |test: bool| Some(if test { Split::Test } else { Split::Train });
        splits = test.into_iter().map(of).collect();
    }
    let named = items.iter().any(|item| item.person.is_some());
    let parts = Split::ALL.into_iter().filter_map(|split| {
        let (mut labels, mut files, mut owners) = (Vec::new(), Vec::new(), Vec::new());
        for (item, of) in items.iter().zip(&splits) {
            if of.unwrap_or(Split::Train) == split {
                labels.push(label(item));
                files.push(item.file.clone());
                if named {
                    owners.push(item.person.clone().unwrap_or_default());
                }
            }
        }
        let images = Images::Files(files);
        (!labels.is_empty()).then_some(Part { split, labels, images, owners })
    });
    let parts = parts.collect();
    let (path, kind) = (path.to_owned(), SourceKind::Manifest);
    let divided = notes.first().cloned();
    Found { path, kind, classes: Classes::named(names), parts, notes, divided }.complete()
}

/// The rows, each with its file, which is there.
fn items(path: &Path) -> Result<Vec<Item>, DatasetError> {
    let wrong =
        |line: u64, cause: String| DatasetError::Manifest { file: shown(path), line, cause };
    let ending = path.extension().is_some_and(|ending| ending == "tsv");
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(if ending { b'\t' } else { b',' })
        .trim(csv::Trim::All)
        .comment(Some(b'#'))
        .from_path(path)
        .map_err(|error| wrong(1, error.to_string()))?;
    let folder = path.parent().unwrap_or(Path::new("")).to_owned();
    let headers = reader.headers().map_err(|error| wrong(1, error.to_string()))?.clone();
    let (mut items, mut labels) = (Vec::new(), HashMap::<PathBuf, String>::new());
    let (mut missing, mut first_missing) = (0_usize, None);
    for record in reader.records() {
        let line_of = |error: &csv::Error| error.position().map_or(1, csv::Position::line);
        let record = record.map_err(|error| wrong(line_of(&error), error.to_string()))?;
        let line = record.position().map_or(1, csv::Position::line);
        let row: Row = record.deserialize(Some(&headers)).map_err(|_| {
            wrong(line, "the first line has to name the columns path and label".to_owned())
        })?;
        let split = row.split.filter(|split| !split.is_empty());
        let split = split.map(|name| {
            let unknown =
                || format!("the split {:?} is none of train, val and test", shown_text(&name));
            Split::named(&name).ok_or_else(|| wrong(line, unknown()))
        });
        let split = split.transpose()?;
        if row.label.is_empty() {
            return Err(wrong(line, "no label".to_owned()));
        }
        let file = folder.join(&row.path);
        if !file.is_file() {
            missing += 1;
            first_missing.get_or_insert((line, file));
            continue;
        }
        match labels.insert(file.clone(), row.label.clone()) {
            Some(other) if other != row.label => {
                let cause = format!(
                    "{} has the label {:?} here and {:?} before",
                    shown(&file),
                    shown_text(&row.label),
                    shown_text(&other)
                );
                return Err(wrong(line, cause));
            }
            Some(_) => return Err(wrong(line, format!("{} is listed twice", shown(&file)))),
            None => {}
        }
        let person = row.person.filter(|person| !person.is_empty());
        items.push(Item { file, name: row.path, label: row.label, split, person });
    }
    match first_missing {
        Some((line, file)) if missing == 1 => Err(wrong(line, format!("no file {}", shown(&file)))),
        Some((line, file)) => {
            let more = missing - 1;
            Err(wrong(line, format!("no file {}, nor {more} others of the list", shown(&file))))
        }
        None => Ok(items),
    }
}
