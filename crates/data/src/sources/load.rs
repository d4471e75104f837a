//! From what lies there to images in memory.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::PoisonError;

use rayon::prelude::*;
use sha2::{Digest, Sha256};
use sphinx_network::Shape;

use super::found::{Found, Images, Part, SourceKind, Split};
use super::idx::MAX_BYTES;
use crate::classes::Classes;
use crate::dataset::{Dataset, TrainTest};
use crate::error::DatasetError;
use crate::origin::{Origin, origin};
use crate::picture::{self, Digit as DigitImage, Picture, PictureError, is_digit_form};
use crate::pipeline::Pipeline;
use crate::shown::shown;

/// Unreadable pictures that an error names.
const NAMED: usize = 8;
/// Pictures whose headers are read to choose a size.
const MEASURED: usize = 200;
/// Images that are looked at to see whether they are digits.
const LOOKED_AT: usize = 200;
/// Side of images that is chosen where pictures have others.
const SIDE: usize = 32;
/// Largest side that images of an array keep.
const LARGEST: usize = 48;

/// What becomes of pictures that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unreadable {
    /// The data set is refused.
    Refuse,
    /// They are left out.
    Skip,
}

/// A data set in memory.
#[derive(Debug)]
pub struct Loaded {
    /// To train on.
    pub train: Dataset,
    /// To choose settings by, if there are such images.
    pub validation: Option<Dataset>,
    /// To test with; may be empty.
    pub test: Dataset,
    /// The pictures that were left out.
    pub skipped: Vec<PictureError>,
}

/// The first file of a content that was seen: its class, its place.
type Seen = Mutex<HashMap<[u8; 32], (u8, PathBuf)>>;

impl Found {
    /// The pipeline that fits the set, where nobody says another: images of arrays as they are,
    /// digits in MNIST's form as digits, larger ones and pictures at 32 × 32, in colour if any of
    /// them has colours.
    ///
    /// # Errors
    /// [`DatasetError::Pictures`] if no picture's header can be read.
    pub fn pipeline(&self) -> Result<Pipeline, DatasetError> {
        let classes = self.classes().clone();
        let Some(train) = self.part(Split::Train) else {
            return Ok(Pipeline::plain(DigitImage::SHAPE, classes));
        };
        let (shape, digits) = match &train.images {
            Images::Array { shape, levels, .. } => (*shape, are_digits(*shape, levels, &classes)),
            Images::Files(_) => (picture_shape(&self.files())?, false),
        };
        if digits || self.kind == SourceKind::Bundled {
            return Ok(Pipeline::digit(classes));
        }
        let side = |side: usize| if shape.height.max(shape.width) > LARGEST { SIDE } else { side };
        let shape = Shape::new(shape.channels, side(shape.height), side(shape.width));
        Ok(Pipeline::plain(shape, classes))
    }

    /// The pictures of all parts.
    fn files(&self) -> Vec<&PathBuf> {
        let mut all = Vec::new();
        for part in &self.parts {
            if let Images::Files(files) = &part.images {
                all.extend(files);
            }
        }
        all
    }

    /// The set with the classes of a model, which have to be all that it has, whatever their order.
    ///
    /// # Errors
    /// [`DatasetError::NoData`] naming the class that the model does not know.
    pub fn with_classes(mut self, classes: &Classes) -> Result<Self, DatasetError> {
        let number = |name: &String| {
            let position = classes.names().iter().position(|known| known == name);
            position.map(|position| position as u8).ok_or_else(|| DatasetError::NoData {
                path: self.path.clone(),
                cause: format!(
                    "its class {name:?} is none of the model's ({})",
                    classes.names().join(", ")
                ),
            })
        };
        let numbers: Vec<u8> = self.classes.names().iter().map(number).collect::<Result<_, _>>()?;
        for label in self.parts.iter_mut().flat_map(|part| &mut part.labels) {
            *label = numbers[usize::from(*label)];
        }
        self.classes = classes.clone();
        Ok(self)
    }

    /// Images with rows and columns exchanged, for sets that store them so (EMNIST); pictures stay
    /// as they are.
    pub fn transposed(mut self) -> Self {
        for part in &mut self.parts {
            let Images::Array { shape, levels, .. } = &mut part.images else { continue };
            let (rows, columns) = (shape.height, shape.width);
            let source = std::mem::take(levels);
            levels.reserve_exact(source.len());
            for plane in source.chunks_exact((rows * columns).max(1)) {
                levels.extend(
                    (0..columns).flat_map(|x| (0..rows).map(move |y| plane[y * columns + x])),
                );
            }
            *shape = Shape::new(shape.channels, columns, rows);
        }
        self
    }

    /// Decodes the pictures, on all cores, and brings every image through the pipeline. In memory
    /// are the images as the network takes them, one byte a scalar, and a picture per core.
    ///
    /// # Errors
    /// [`DatasetError::Pictures`] for pictures that cannot be read, unless they are to be left out;
    /// [`DatasetError::TwoClasses`] for a file that is in two classes; [`DatasetError::TooLarge`].
    pub fn load(self, pipeline: &Pipeline, unreadable: Unreadable) -> Result<Loaded, DatasetError> {
        let Self { path, classes, parts, .. } = self;
        let (seen, mut skipped) = (Seen::default(), Vec::new());
        let mut sets = HashMap::new();
        for part in parts {
            let split = part.split;
            let set = dataset(&path, part, pipeline, &classes, &seen, &mut skipped)?;
            sets.insert(split, set);
        }
        if unreadable == Unreadable::Refuse && !skipped.is_empty() {
            let of = skipped.len();
            skipped.truncate(NAMED);
            return Err(DatasetError::Pictures { errors: skipped, of });
        }
        let empty = || Dataset::new(Vec::new(), Vec::new(), pipeline.shape, classes.clone());
        let train = sets.remove(&Split::Train).filter(|set| !set.is_empty());
        let wanted = "to train on".to_owned();
        Ok(Loaded {
            train: train.ok_or(DatasetError::NoImage { path, wanted })?,
            validation: sets.remove(&Split::Validation),
            test: match sets.remove(&Split::Test) {
                Some(test) => test,
                None => empty()?,
            },
            skipped,
        })
    }

    /// The set through its own pipeline: the images to train on and to test with.
    ///
    /// # Errors
    /// As [`Found::load`].
    pub fn into_train_test(self) -> Result<TrainTest, DatasetError> {
        let pipeline = self.pipeline()?;
        let Loaded { train, test, .. } = self.load(&pipeline, Unreadable::Refuse)?;
        Ok(TrainTest { train, test })
    }
}

fn dataset(
    path: &Path,
    part: Part,
    pipeline: &Pipeline,
    classes: &Classes,
    seen: &Seen,
    skipped: &mut Vec<PictureError>,
) -> Result<Dataset, DatasetError> {
    let length = pipeline.shape.len().max(1);
    let Part { labels, images, owners, .. } = part;
    let bytes = (labels.len() as u64).saturating_mul(length as u64);
    if bytes > MAX_BYTES {
        return Err(DatasetError::TooLarge { file: shown(path), got: bytes, limit: MAX_BYTES });
    }
    let files = match images {
        Images::Array { shape, levels, .. } if shape == pipeline.shape && pipeline.is_as_is() => {
            return Dataset::new(levels, labels, shape, classes.clone());
        }
        Images::Array { shape, levels, .. } => {
            let mut out = vec![0; labels.len() * length];
            let images = levels.par_chunks_exact(shape.len().max(1));
            out.par_chunks_exact_mut(length).zip(images).for_each(|(out, image)| {
                out.copy_from_slice(&pipeline.array(image, shape));
            });
            let images = levels.par_chunks_exact(shape.len().max(1));
            let origins = images.map(|image| origin(shape, image)).collect();
            let set = Dataset::new(out, labels, pipeline.shape, classes.clone())?;
            return Ok(set.with_origins(origins));
        }
        Images::Files(files) => files,
    };
    let mut levels = vec![0; labels.len() * length];
    let mut origins = vec![Origin::default(); labels.len()];
    let read: Vec<Result<(), Refusal>> = levels
        .par_chunks_exact_mut(length)
        .zip(&mut origins)
        .zip(files.par_iter().zip(&labels))
        .map(|((out, origin), (file, label))| {
            let bytes = picture::read(file)?;
            once(&bytes, file, *label, seen)?;
            let picture = Picture::decode(&bytes, file)?;
            *origin = picture.origin();
            out.copy_from_slice(&pipeline.levels(picture, file)?);
            Ok(())
        })
        .collect();
    let mut kept = Vec::new();
    for (index, outcome) in read.into_iter().enumerate() {
        match outcome {
            Ok(()) => kept.push(index),
            Err(Refusal::Picture(error)) => skipped.push(error),
            Err(Refusal::Set(error)) => return Err(error),
        }
    }
    let set = Dataset::new(levels, labels, pipeline.shape, classes.clone())?;
    let set = set.with_origins(origins).with_owners(owners);
    if kept.len() == set.len() { Ok(set) } else { set.select(&kept) }
}

/// Why a picture is not taken.
enum Refusal {
    Picture(PictureError),
    Set(DatasetError),
}

impl From<PictureError> for Refusal {
    fn from(error: PictureError) -> Self {
        Self::Picture(error)
    }
}

/// Refuses contents that were seen in another class.
fn once(bytes: &[u8], file: &Path, label: u8, seen: &Seen) -> Result<(), Refusal> {
    let digest: [u8; 32] = Sha256::digest(bytes).into();
    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
    let (other, first) = seen.entry(digest).or_insert_with(|| (label, file.to_owned()));
    if *other == label {
        return Ok(());
    }
    let (first, second) = (first.clone(), file.to_owned());
    Err(Refusal::Set(DatasetError::TwoClasses { first, second }))
}

/// Whether nearly all of the first images are digits as MNIST has them, in classes from 0 to 9.
fn are_digits(shape: Shape, levels: &[u8], classes: &Classes) -> bool {
    let numbers = |name: &String| matches!(name.as_bytes(), [b'0'..=b'9']);
    if shape != DigitImage::SHAPE || !classes.names().iter().all(numbers) {
        return false;
    }
    let images = levels.as_chunks::<{ DigitImage::SIDE * DigitImage::SIDE }>().0;
    let looked_at = images.iter().take(LOOKED_AT);
    let digits = looked_at.clone().filter(|image| is_digit_form(image)).count();
    digits * 20 >= looked_at.count() * 19
}

/// The size that pictures have if all have the same, and whether any has colours.
fn picture_shape(files: &[&PathBuf]) -> Result<Shape, DatasetError> {
    let step = files.len().div_ceil(MEASURED).max(1);
    let some: Vec<&&PathBuf> = files.iter().step_by(step).collect();
    let measured: Vec<_> = some.par_iter().map(|file| Picture::measure(file)).collect();
    let channels = |colour: bool| if colour { 3 } else { 1 };
    let colour = measured.iter().flatten().any(|measured| measured.colour);
    let mut sizes = measured.iter().flatten().map(|measured| (measured.width, measured.height));
    let Some(first) = sizes.next() else {
        let of = files.len();
        let errors = measured.into_iter().filter_map(Result::err).take(NAMED).collect();
        return Err(DatasetError::Pictures { errors, of });
    };
    let same = sizes.all(|size| size == first);
    let (width, height) = if same { (first.0 as usize, first.1 as usize) } else { (SIDE, SIDE) };
    Ok(Shape::new(channels(colour), height, width))
}
