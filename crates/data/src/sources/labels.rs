//! Numbers that stand for classes.

use std::collections::BTreeMap;
use std::path::Path;

use crate::classes::Classes;
use crate::error::DatasetError;

/// Labels of one part of a set, as their file has them.
pub(super) struct RawLabels {
    /// For messages.
    pub file: String,
    pub values: Vec<i64>,
}

/// The classes of a set whose labels are numbers, and the labels of each part as numbers of
/// classes. Classes are the values of the training labels in order, so that labels from 1 on are as
/// good as labels from 0 on; `names` call those from 0 on by name, if there are enough.
///
/// # Errors
/// [`DatasetError::OneClass`], [`DatasetError::ManyClasses`]; [`DatasetError::ForeignLabel`] for
/// labels to test with that no training image has, and for a value that a single training image has
/// among thousands: such a label is a mistake, and nothing could be learned of its class.
pub(super) fn classes(
    path: &Path,
    parts: &[RawLabels],
    names: Option<Vec<String>>,
) -> Result<(Classes, Vec<Vec<u8>>), DatasetError> {
    let Some(train) = parts.first() else { return Ok((Classes::numbered(0), Vec::new())) };
    let mut counts: BTreeMap<i64, (usize, usize)> = BTreeMap::new();
    for (item, value) in train.values.iter().enumerate() {
        counts.entry(*value).or_insert((item, 0)).1 += 1;
    }
    let elsewhere = |value: i64| parts[1..].iter().any(|part| part.values.contains(&value));
    let usual = train.values.len() / counts.len().max(1);
    for (&got, &(item, count)) in &counts {
        if count == 1 && usual >= 100 && !elsewhere(got) {
            let cause = format!("which no other of the {} has", train.values.len());
            return Err(DatasetError::ForeignLabel { file: train.file.clone(), item, got, cause });
        }
    }
    let values: Vec<i64> = counts.into_keys().collect();
    match values.as_slice() {
        [] => {
            let wanted = "to train on".to_owned();
            return Err(DatasetError::NoImage { path: path.to_owned(), wanted });
        }
        [only] => {
            let class = only.to_string();
            return Err(DatasetError::OneClass { path: path.to_owned(), class });
        }
        more if more.len() > 256 => {
            return Err(DatasetError::ManyClasses { path: path.to_owned(), got: more.len() });
        }
        _ => {}
    }
    let named = |value: &i64| {
        let name = names.as_ref().and_then(|names| names.get(usize::try_from(*value).ok()?));
        name.cloned().unwrap_or_else(|| value.to_string())
    };
    let classes = Classes::named(values.iter().map(named));
    let labels = parts.iter().map(|part| numbers(part, &values)).collect::<Result<_, _>>()?;
    Ok((classes, labels))
}

fn numbers(part: &RawLabels, values: &[i64]) -> Result<Vec<u8>, DatasetError> {
    let number = |(item, got): (usize, &i64)| match values.binary_search(got) {
        Ok(class) => Ok(class as u8),
        Err(_) => {
            let cause = "which no image to train on has".to_owned();
            Err(DatasetError::ForeignLabel { file: part.file.clone(), item, got: *got, cause })
        }
    };
    part.values.iter().enumerate().map(number).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(file: &str, values: Vec<i64>) -> RawLabels {
        RawLabels { file: file.to_owned(), values }
    }

    #[test]
    fn classes_are_the_values_in_order() {
        let parts = [part("train", vec![3, 1, 2, 1]), part("test", vec![2, 3])];
        let (classes, labels) = super::classes(Path::new("d"), &parts, None).unwrap();
        assert_eq!(classes.names(), ["1", "2", "3"]);
        assert_eq!(labels, [vec![2, 0, 1, 0], vec![1, 2]]);
        let names = ["zero", "one", "two"].map(str::to_owned).to_vec();
        let (classes, _) = super::classes(Path::new("d"), &parts, Some(names)).unwrap();
        assert_eq!(classes.names(), ["one", "two", "3"]);
    }

    #[test]
    fn rejects_labels_beyond_the_classes_by_file_and_item() {
        let parts = [part("train", vec![0, 1]), part("test", vec![1, 7])];
        let error = super::classes(Path::new("d"), &parts, None).unwrap_err().to_string();
        assert_eq!(error, "test: item 1 has the label 7, which no image to train on has");
        let mut values: Vec<i64> = (0..1000).map(|i| i % 2).collect();
        values[777] = 10;
        let error = super::classes(Path::new("d"), &[part("train", values)], None).unwrap_err();
        let expected = "train: item 777 has the label 10, which no other of the 1000 has";
        assert_eq!(error.to_string(), expected);
    }

    #[test]
    fn rejects_no_image_and_one_class() {
        let refused = |values| super::classes(Path::new("d"), &[part("f", values)], None);
        assert!(matches!(refused(vec![]), Err(DatasetError::NoImage { .. })));
        assert!(matches!(refused(vec![4, 4]), Err(DatasetError::OneClass { .. })));
        assert!(matches!(
            refused((0..257).collect()),
            Err(DatasetError::ManyClasses { got: 257, .. })
        ));
    }
}
