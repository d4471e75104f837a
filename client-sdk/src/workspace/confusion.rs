//! What was taken for what.

use serde::{Deserialize, Serialize};
use sphinx_data::Classes;

/// Images by their true class and the class that was predicted.
///
/// In JSON it is the field `confusion`, `[true][predicted]`, and the field `classes` with their
/// names where these are not the numbers of the labels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Written", try_from = "Written")]
pub struct Confusion {
    classes: Classes,
    counts: Vec<Vec<u64>>,
}

/// The matrix as it stands in a report.
#[derive(Serialize, Deserialize)]
struct Written {
    confusion: Vec<Vec<u64>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    classes: Option<Vec<String>>,
}

/// A matrix that is not square, or has not one name per class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a confusion matrix of {rows} rows with {cells} counts for {classes} classes")]
struct NotSquare {
    rows: usize,
    cells: usize,
    classes: usize,
}

impl Confusion {
    /// Without an image.
    pub fn new(classes: Classes) -> Self {
        let counts = vec![vec![0; classes.len()]; classes.len()];
        Self { classes, counts }
    }

    /// Counts `images` images; those of a class that there is not are left out.
    pub fn add(&mut self, label: usize, predicted: usize, images: u64) {
        if let Some(count) = self.counts.get_mut(label).and_then(|row| row.get_mut(predicted)) {
            *count += images;
        }
    }

    /// What the rows and columns stand for.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// Counts by class, `[true][predicted]`.
    pub fn counts(&self) -> &[Vec<u64>] {
        &self.counts
    }

    /// Images whose class was recognised.
    pub fn recognised(&self) -> u64 {
        self.counts.iter().enumerate().map(|(class, row)| row[class]).sum()
    }

    /// Share of the images of a class that were recognised; `None` if there were none.
    pub fn recall(&self, class: usize) -> Option<f64> {
        let row = self.counts.get(class)?;
        let total: u64 = row.iter().sum();
        (total > 0).then(|| row[class] as f64 / total as f64)
    }
}

impl From<Confusion> for Written {
    fn from(Confusion { classes, counts }: Confusion) -> Self {
        let numbered = classes == Classes::numbered(classes.len());
        Self { confusion: counts, classes: (!numbered).then(|| classes.names().to_vec()) }
    }
}

impl TryFrom<Written> for Confusion {
    type Error = NotSquare;

    fn try_from(Written { confusion: counts, classes }: Written) -> Result<Self, NotSquare> {
        let classes = classes.map_or_else(|| Classes::numbered(counts.len()), Classes::named);
        let (rows, cells) = (counts.len(), counts.iter().map(Vec::len).sum());
        if rows != classes.len() || counts.iter().any(|row| row.len() != rows) {
            return Err(NotSquare { rows, cells, classes: classes.len() });
        }
        Ok(Self { classes, counts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_written_where_they_are_not_numbers() {
        let mut digits = Confusion::new(Classes::numbered(2));
        digits.add(0, 1, 3);
        digits.add(1, 1, 4);
        digits.add(2, 1, 5);
        digits.add(1, 2, 6);
        let json = serde_json::to_string(&digits).unwrap();
        assert_eq!(json, r#"{"confusion":[[0,3],[0,4]]}"#);
        assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), digits);
        assert_eq!((digits.recognised(), digits.recall(0), digits.recall(2)), (4, Some(0.0), None));

        let animals = Confusion::new(Classes::named(["cat", "dog"]));
        let json = serde_json::to_string(&animals).unwrap();
        assert_eq!(json, r#"{"confusion":[[0,0],[0,0]],"classes":["cat","dog"]}"#);
        assert_eq!(serde_json::from_str::<Confusion>(&json).unwrap(), animals);
    }

    #[test]
    fn rejects_matrices_that_are_not_square() {
        for (json, expected) in [
            (r#"{"confusion":[[0,3],[0]]}"#, "2 rows with 3 counts for 2 classes"),
            (r#"{"confusion":[[0,3]]}"#, "1 rows with 2 counts for 1 classes"),
            (r#"{"confusion":[[7]],"classes":["a","b"]}"#, "1 rows with 1 counts for 2 classes"),
        ] {
            let error = serde_json::from_str::<Confusion>(json).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
