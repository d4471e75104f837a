//! Why a data set was refused.

use std::io::ErrorKind;
use std::path::PathBuf;

/// A data set that cannot be read, or a batch that cannot be cut from it.
///
/// `file` is the path of the file, or its standard name where only its contents were given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// None of the accepted names exists.
    #[error("no MNIST file in {}: tried {}", directory.display(), tried.join(", "))]
    Missing {
        /// Where it was looked for.
        directory: PathBuf,
        /// The accepted names, in the order tried.
        tried: Vec<String>,
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
    /// Not an IDX file of the kind the name promises.
    #[error("{file}: IDX magic number is {got:#010x}, expected {expected:#010x}")]
    Magic {
        /// File concerned.
        file: String,
        /// First four bytes, big-endian.
        got: u32,
        /// 0x803 for images, 0x801 for labels.
        expected: u32,
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
    /// Images of another size.
    #[error("{file}: images are {got_rows}x{got_cols}, expected {expected_rows}x{expected_cols}")]
    ImageSize {
        /// File concerned.
        file: String,
        /// Rows in the header.
        got_rows: u32,
        /// Columns in the header.
        got_cols: u32,
        /// Rows of an MNIST image.
        expected_rows: u32,
        /// Columns of an MNIST image.
        expected_cols: u32,
    },
    /// Images and labels do not belong together.
    #[error("{images_file} holds {images} images, but {labels_file} holds {labels} labels")]
    CountsDiffer {
        /// File of the images.
        images_file: String,
        /// Images announced.
        images: u32,
        /// File of the labels.
        labels_file: String,
        /// Labels announced.
        labels: u32,
    },
    /// Not the size of the MNIST split.
    #[error("{file}: {got} items, an MNIST-format set has {expected}")]
    Count {
        /// File concerned.
        file: String,
        /// Items announced.
        got: u32,
        /// 60 000 for training, 10 000 for testing.
        expected: u32,
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

fn expected_labels(classes: usize) -> String {
    match classes.checked_sub(1) {
        Some(last) => format!("expected 0 to {last}"),
        None => "but there are no classes".to_owned(),
    }
}
