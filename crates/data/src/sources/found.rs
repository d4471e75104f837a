//! A data set as it lies there: counted and measured, pictures not yet decoded.

use std::fmt;
use std::path::PathBuf;

use sphinx_network::Shape;

use super::split;
use crate::classes::Classes;
use crate::error::DatasetError;

/// Which part of a data set an image belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// To train on.
    Train,
    /// To choose settings by.
    Validation,
    /// To test with.
    Test,
}

impl Split {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The split that people call so.
    pub(crate) fn named(name: &str) -> Option<Self> {
        match name.to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" | "dev" => Some(Self::Validation),
            "test" | "testing" | "t10k" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

/// Which form of files a data set has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The MNIST database inside the program.
    Bundled,
    /// IDX files.
    Idx,
    /// NumPy arrays.
    Numpy,
    /// Binary batches of CIFAR-10 or CIFAR-100.
    Cifar,
    /// Pictures in folders by class.
    Folder,
    /// Pictures in a list.
    Manifest,
}

/// Images of a part.
pub(crate) enum Images {
    /// `[image][channel][row][column]`.
    Array { shape: Shape, levels: Vec<u8>, file: String },
    /// Pictures to be decoded.
    Files(Vec<PathBuf>),
}

/// A part of a set: as many labels as images.
pub(crate) struct Part {
    pub split: Split,
    pub labels: Vec<u8>,
    pub images: Images,
    /// Whose the images are, "" of those that nobody is named for; empty where none is.
    pub owners: Vec<String>,
}

/// A data set as it lies there. `Debug` shows sizes alone.
pub struct Found {
    pub(crate) path: PathBuf,
    pub(crate) kind: SourceKind,
    pub(crate) classes: Classes,
    pub(crate) parts: Vec<Part>,
    pub(crate) notes: Vec<String>,
    /// What is said of the split, if the set had none.
    pub(crate) divided: Option<String>,
}

impl Found {
    /// Its form.
    pub fn kind(&self) -> SourceKind {
        self.kind
    }

    /// What its labels stand for.
    pub fn classes(&self) -> &Classes {
        &self.classes
    }

    /// What a user should know of how it was read.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// The labels of a split, numbers of classes; none if it has no such split.
    pub fn labels(&self, split: Split) -> &[u8] {
        self.part(split).map_or(&[], |part| &part.labels)
    }

    /// Images of each class of a split.
    pub fn counts(&self, split: Split) -> Vec<usize> {
        let mut counts = vec![0; self.classes.len()];
        for label in self.labels(split) {
            counts[usize::from(*label)] += 1;
        }
        counts
    }

    pub(crate) fn part(&self, split: Split) -> Option<&Part> {
        self.parts.iter().find(|part| part.split == split)
    }
}

impl Found {
    /// As a set that grows: where test images were taken from those to train on, they go back. The
    /// rule takes others as images come, and an image that was trained on stays one.
    #[must_use]
    pub fn undivided(mut self) -> Self {
        let Some(note) = self.divided.take() else { return self };
        self.notes.retain(|other| *other != note);
        let test = self.parts.extract_if(.., |part| part.split == Split::Test).next();
        let train = self.parts.iter_mut().find(|part| part.split == Split::Train);
        if let Some((train, test)) = train.zip(test) {
            train.labels.extend(test.labels);
            train.owners.extend(test.owners);
            match (&mut train.images, test.images) {
                (Images::Files(files), Images::Files(more)) => files.extend(more),
                (Images::Array { levels, .. }, Images::Array { levels: more, .. }) => {
                    levels.extend(more);
                }
                // Both are parts of one.
                (Images::Files(_), Images::Array { .. })
                | (Images::Array { .. }, Images::Files(_)) => {}
            }
        }
        self
    }

    /// With a test split: taken from the training images where there is none.
    pub(super) fn complete(mut self) -> Result<Self, DatasetError> {
        let Some(train) = self.parts.iter().position(|part| part.split == Split::Train) else {
            let (path, wanted) = (self.path, "to train on".to_owned());
            return Err(DatasetError::NoImage { path, wanted });
        };
        self.same_shapes()?;
        if self.parts.iter().any(|part| part.split == Split::Test) {
            return Ok(self);
        }
        let Part { labels, images, owners, .. } = self.parts.remove(train);
        let names: Vec<String> = match &images {
            Images::Array { .. } => (0..labels.len()).map(|index| index.to_string()).collect(),
            Images::Files(files) => {
                let root = self.path.clone();
                let relative = |file: &PathBuf| file.strip_prefix(&root).unwrap_or(file).to_owned();
                files.iter().map(|file| relative(file).to_string_lossy().into_owned()).collect()
            }
        };
        let test = split::for_test(&labels, &names, None);
        for split in [Split::Train, Split::Test] {
            let wanted: Vec<bool> =
                test.iter().map(|test| *test == (split == Split::Test)).collect();
            let labels = labels.iter().zip(&wanted).filter(|(_, w)| **w).map(|(l, _)| *l).collect();
            let owners = owners.iter().zip(&wanted).filter(|(_, w)| **w).map(|(o, _)| o.clone());
            let (images, owners) = (images.only(&wanted), owners.collect());
            self.parts.push(Part { split, labels, images, owners });
        }
        let note = split::note("images of each class");
        self.notes.push(note.clone());
        self.divided = Some(note);
        Ok(self)
    }

    fn same_shapes(&self) -> Result<(), DatasetError> {
        let mut first = None;
        for part in &self.parts {
            let Images::Array { shape, file, .. } = &part.images else { continue };
            let expected = *first.get_or_insert(*shape);
            if *shape != expected {
                let text =
                    |shape: Shape| format!("{}x{}x{}", shape.channels, shape.height, shape.width);
                let (got, expected) = (text(*shape), text(expected));
                return Err(DatasetError::ShapesDiffer { file: file.clone(), got, expected });
            }
        }
        Ok(())
    }
}

impl Images {
    /// Those that are wanted, in order.
    fn only(&self, wanted: &[bool]) -> Self {
        match self {
            Self::Array { shape, levels, file } => {
                let images = levels.chunks_exact(shape.len()).zip(wanted);
                let levels = images.filter(|(_, wanted)| **wanted).flat_map(|(image, _)| image);
                Self::Array { shape: *shape, levels: levels.copied().collect(), file: file.clone() }
            }
            Self::Files(files) => {
                let files = files.iter().zip(wanted).filter(|(_, wanted)| **wanted);
                Self::Files(files.map(|(file, _)| file.clone()).collect())
            }
        }
    }
}

impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lengths: Vec<_> = self.parts.iter().map(|p| (p.split, p.labels.len())).collect();
        f.debug_struct("Found")
            .field("kind", &self.kind)
            .field("classes", &self.classes.len())
            .field("images", &lengths)
            .finish_non_exhaustive()
    }
}
