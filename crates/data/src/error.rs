//! Why a data set was refused.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::picture::PictureError;
use crate::shown::{shown, shown_text};

/// A data set that cannot be read, or a batch that cannot be cut from it.
///
/// `file` is the path of the file as it may be shown, or its standard name where only its contents
/// were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// Nothing that is a data set.
    #[error(
        "{}: no data set: {cause}; a data set is a folder of IDX files, CIFAR batches (.bin), .npy \
         pairs or pictures by class (train/CLASS/*, test/CLASS/* or CLASS/*), an .npz file or a CSV \
         list with the columns path and label",
        shown(path)
    )]
    NoData {
        /// What was looked at.
        path: PathBuf,
        /// What was found instead.
        cause: String,
    },
    /// The operating system refused to read or write.
    #[error("{file}: {kind}")]
    Io {
        /// File concerned.
        file: String,
        /// What the system said.
        kind: ErrorKind,
    },
    /// The gzip envelope is damaged.
    #[error("{file}: damaged gzip stream ({message}); fetch the file again")]
    Gzip {
        /// File concerned.
        file: String,
        /// What the decoder said.
        message: String,
    },
    /// Not a file of the form that its name promises.
    #[error("{file}: {got}, expected {expected}")]
    Form {
        /// File concerned.
        file: String,
        /// What it is.
        got: String,
        /// What it should be.
        expected: String,
    },
    /// Python objects: to read them would be to run the program that they hold.
    #[error(
        "{file}: pickled Python objects, which are never read because reading runs whatever they \
         say; {instead}"
    )]
    Pickled {
        /// File concerned.
        file: String,
        /// What to do.
        instead: String,
    },
    /// The file ends early.
    #[error(
        "{file}: truncated, {got} bytes after decompression, expected {expected}; \
         fetch the file again"
    )]
    Truncated {
        /// File concerned.
        file: String,
        /// Bytes present, after decompression.
        got: u64,
        /// Bytes that the header announces, itself included.
        expected: u64,
    },
    /// The file goes on after its last item.
    #[error("{file}: more than the {expected} bytes that its header announces")]
    TrailingBytes {
        /// File concerned.
        file: String,
        /// Bytes that the header announces, itself included.
        expected: u64,
    },
    /// More than is held in memory.
    #[error("{file}: announces {got} bytes of images, at most {limit} are held in memory")]
    TooLarge {
        /// File concerned.
        file: String,
        /// Bytes announced.
        got: u64,
        /// Bytes allowed.
        limit: u64,
    },
    /// Images and labels do not belong together.
    #[error("{images_file} holds {images} images, but {labels_file} holds {labels} labels")]
    CountsDiffer {
        /// File of the images.
        images_file: String,
        /// Images announced.
        images: u64,
        /// File of the labels.
        labels_file: String,
        /// Labels announced.
        labels: u64,
    },
    /// Parts of a set whose images differ in shape.
    #[error("{file}: images of {got}, but those to train on are {expected}")]
    ShapesDiffer {
        /// File concerned.
        file: String,
        /// channels x rows x columns.
        got: String,
        /// Those of the training images.
        expected: String,
    },
    /// No image, where there have to be some.
    #[error("{}: no image {}", shown(path), shown_text(wanted))]
    NoImage {
        /// Where they were looked for.
        path: PathBuf,
        /// What they are wanted for.
        wanted: String,
    },
    /// Nothing to tell apart.
    #[error(
        "{}: all images are of one class, {}; a network tells at least two apart",
        shown(path),
        shown_text(class)
    )]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
    },
    /// More classes than labels can tell apart.
    #[error("{}: {got} classes, at most 256 are told apart", shown(path))]
    ManyClasses {
        /// The data set.
        path: PathBuf,
        /// Classes found.
        got: usize,
    },
    /// A label that no class stands behind.
    #[error("{file}: item {item} has the label {got}, {cause}")]
    ForeignLabel {
        /// File concerned.
        file: String,
        /// Position of the label, from 0.
        item: usize,
        /// Its value.
        got: i64,
        /// Why it is foreign.
        cause: String,
    },
    /// One picture, two answers.
    #[error(
        "{} and {} are the same picture in two classes; keep one of them",
        shown(first),
        shown(second)
    )]
    TwoClasses {
        /// One of the files.
        first: PathBuf,
        /// The other.
        second: PathBuf,
    },
    /// A list that cannot be followed.
    #[error("{file}, line {line}: {cause}")]
    Manifest {
        /// File concerned.
        file: String,
        /// Line, from 1.
        line: u64,
        /// What is wrong with it.
        cause: String,
    },
    /// Pictures that cannot be read.
    #[error("{}", unreadable(errors, *of))]
    Pictures {
        /// Why, for some of them.
        errors: Vec<PictureError>,
        /// How many there are.
        of: usize,
    },
    /// A label without a class.
    #[error("label {index} is {got}, {}", expected_labels(*classes))]
    Label {
        /// Position of the label.
        index: usize,
        /// Its value.
        got: u8,
        /// Number of classes.
        classes: usize,
    },
    /// Levels that do not fill the announced images.
    #[error("{got} bytes of pixels, expected {expected}")]
    LevelCount {
        /// Bytes given.
        got: usize,
        /// images × channels × rows × columns.
        expected: usize,
    },
    /// More images than slots in a block.
    #[error("{got} images do not fit in {slots} slots; split the batch")]
    BatchTooLarge {
        /// Images asked for.
        got: usize,
        /// Slots of a block.
        slots: usize,
    },
    /// An image that the set does not have.
    #[error("image {got} of a set of {len}")]
    ImageIndex {
        /// Index asked for.
        got: usize,
        /// Images in the set.
        len: usize,
    },
    /// A buffer of the wrong length for the tensor.
    #[error("tensor buffer holds {got} values, expected {expected} (pixels x slots)")]
    TensorLength {
        /// Values given.
        got: usize,
        /// pixels × slots.
        expected: usize,
    },
}

impl DatasetError {
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        Self::Io { file: shown(path), kind: error.kind() }
    }
}

fn expected_labels(classes: usize) -> String {
    match classes.checked_sub(1) {
        Some(last) => format!("expected 0 to {last}"),
        None => "but there are no classes".to_owned(),
    }
}

/// The errors, and how many more there are.
fn unreadable(errors: &[PictureError], of: usize) -> String {
    let mut text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    if of > errors.len() {
        text += &format!("; and {} more", of - errors.len());
    }
    text + "; mend or remove these files, or leave them out with --skip-unreadable"
}
