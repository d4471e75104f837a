//! IDX files: checked by their header before a byte of the contents is believed.
//!
//! Format: big-endian magic number, one big-endian `u32` per dimension, then the values, big-endian
//! (Y. LeCun, <http://yann.lecun.com/exdb/mnist/>). The magic number's last byte is the number of
//! dimensions, the one before it says what a value is; the first dimension counts the items.

use std::cmp::Ordering;
use std::io::{self, ErrorKind, Read};

use sphinx_network::Shape;

use super::gzip;
use super::values::Values;
use crate::error::DatasetError;

/// Length of the magic number and of a dimension.
const WORD: usize = 4;
/// Most bytes of values that are held in memory.
pub(super) const MAX_BYTES: u64 = 8 << 30;

/// What a value is, by the third byte of the magic number.
#[derive(Clone, Copy)]
enum Kind {
    U8,
    I8,
    I16,
    I32,
    F32,
    F64,
}

/// An IDX file whose header has been checked and whose contents have not been read.
pub(super) struct IdxFile<'a> {
    name: String,
    kind: Kind,
    dimensions: Vec<u32>,
    header: u64,
    contents: Box<dyn Read + 'a>,
}

impl Kind {
    fn of(code: u8) -> Option<Self> {
        match code {
            0x08 => Some(Self::U8),
            0x09 => Some(Self::I8),
            0x0b => Some(Self::I16),
            0x0c => Some(Self::I32),
            0x0d => Some(Self::F32),
            0x0e => Some(Self::F64),
            _ => None,
        }
    }

    fn bytes(self) -> u64 {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 => 2,
            Self::I32 | Self::F32 => 4,
            Self::F64 => 8,
        }
    }

    fn values(self, bytes: Vec<u8>) -> Values {
        let real = |values: &mut dyn Iterator<Item = f64>| Values::Real(values.collect());
        match self {
            Self::U8 => Values::Bytes(bytes),
            Self::I8 => Values::Whole(bytes.iter().map(|&b| i64::from(b.cast_signed())).collect()),
            Self::I16 => {
                let words = bytes.as_chunks().0.iter();
                Values::Whole(words.map(|word| i64::from(i16::from_be_bytes(*word))).collect())
            }
            Self::I32 => {
                let words = bytes.as_chunks().0.iter();
                Values::Whole(words.map(|word| i64::from(i32::from_be_bytes(*word))).collect())
            }
            Self::F32 => {
                let words = bytes.as_chunks().0.iter();
                real(&mut words.map(|word| f64::from(f32::from_be_bytes(*word))))
            }
            Self::F64 => {
                let words = bytes.as_chunks().0.iter();
                real(&mut words.map(|word| f64::from_be_bytes(*word)))
            }
        }
    }
}

impl<'a> IdxFile<'a> {
    /// Reads and checks the header; gzip is recognised by its first bytes, not by the name.
    ///
    /// # Errors
    /// [`DatasetError::Form`], [`DatasetError::Truncated`], [`DatasetError::Gzip`],
    /// [`DatasetError::TooLarge`] or [`DatasetError::Io`].
    pub(super) fn open(name: String, raw: impl Read + 'a) -> Result<Self, DatasetError> {
        let contents = gzip::contents(raw).map_err(|e| read_error(&name, &e))?;
        let (dimensions, kind) = (Vec::new(), Kind::U8);
        let mut file = Self { name, kind, dimensions, header: WORD as u64, contents };
        let magic = file.words(1)?;
        let [zero, zero_too, code, dimensions] = magic[0].to_be_bytes();
        let kind = Kind::of(code).filter(|_| (zero, zero_too) == (0, 0));
        let (Some(kind), 1..=4) = (kind, dimensions) else { return Err(file.foreign(magic[0])) };
        (file.kind, file.header) = (kind, (WORD * (1 + usize::from(dimensions))) as u64);
        file.dimensions = file.words(usize::from(dimensions))?;
        let got = file.expected() - file.header;
        if got > MAX_BYTES {
            return Err(DatasetError::TooLarge { file: file.name, got, limit: MAX_BYTES });
        }
        Ok(file)
    }

    /// Name for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Number of items that the header announces.
    pub(super) fn items(&self) -> u64 {
        self.dimensions.first().map_or(0, |items| u64::from(*items))
    }

    /// Shape of an image, for files of three dimensions (rows, columns) or four (and channels,
    /// before or after them).
    ///
    /// # Errors
    /// [`DatasetError::Form`].
    pub(super) fn shape(&self) -> Result<(Shape, Layout), DatasetError> {
        let dimensions: Vec<usize> = self.dimensions.iter().map(|d| *d as usize).collect();
        image_shape(&dimensions[1..]).ok_or_else(|| DatasetError::Form {
            file: self.name.clone(),
            got: format!("an array of {} dimensions, {dimensions:?}", dimensions.len()),
            expected: "images: items, rows, columns and, if any, 1 or 3 channels".to_owned(),
        })
    }

    /// The values, whose number is the one announced. Memory is bounded by the announced length,
    /// whatever a gzip stream expands to.
    pub(super) fn into_values(mut self) -> Result<Values, DatasetError> {
        let expected = self.expected();
        let rest = expected - self.header;
        let mut bytes = Vec::new();
        // One byte beyond the end: shows trailing bytes, and makes gzip verify its checksum.
        self.read(rest + 1, (self.header, expected), &mut bytes)?;
        let got = self.header + bytes.len() as u64;
        match got.cmp(&expected) {
            Ordering::Less => Err(DatasetError::Truncated { file: self.name, got, expected }),
            Ordering::Equal => Ok(self.kind.values(bytes)),
            Ordering::Greater => Err(DatasetError::TrailingBytes { file: self.name, expected }),
        }
    }

    /// Length of the file as announced.
    fn expected(&self) -> u64 {
        let values = self.dimensions.iter().map(|&d| u64::from(d));
        let bytes = values.fold(self.kind.bytes(), u64::saturating_mul);
        bytes.saturating_add(self.header)
    }

    /// The next words of the header.
    fn words(&mut self, count: usize) -> Result<Vec<u32>, DatasetError> {
        let mut bytes = Vec::new();
        let (length, expected) = ((WORD * count) as u64, self.header);
        self.read(length, (expected - length, expected), &mut bytes)?;
        if bytes.len() < WORD * count {
            let got = expected - length + bytes.len() as u64;
            return Err(DatasetError::Truncated { file: self.name.clone(), got, expected });
        }
        Ok(bytes.as_chunks().0.iter().map(|word| u32::from_be_bytes(*word)).collect())
    }

    /// Appends at most `limit` bytes, of which so many went before in the file; a stream that ends
    /// early in its gzip envelope is truncated.
    fn read(
        &mut self,
        limit: u64,
        (before, expected): (u64, u64),
        to: &mut Vec<u8>,
    ) -> Result<(), DatasetError> {
        match self.contents.by_ref().take(limit).read_to_end(to) {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                let got = before + to.len() as u64;
                Err(DatasetError::Truncated { file: self.name.clone(), got, expected })
            }
            Err(e) => Err(read_error(&self.name, &e)),
        }
    }

    fn foreign(&self, magic: u32) -> DatasetError {
        let text = magic.to_be_bytes();
        let got = if text.iter().all(|byte| matches!(byte, b' '..=b'~')) {
            let text = String::from_utf8_lossy(&text).into_owned();
            format!("a file that begins with {text:?} (a web page or text, saved in its place?)")
        } else {
            format!("the magic number {magic:#010x}")
        };
        let expected = "an IDX file of numbers in one to four dimensions (0x00000803 for grey images \
                        of bytes, 0x00000801 for labels)";
        DatasetError::Form { file: self.name.clone(), got, expected: expected.to_owned() }
    }
}

/// Where the channels of an image are.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// Before rows and columns, or there is one.
    First,
    /// After them.
    Last,
}

/// Rows and columns, with 1 or 3 channels before or after them, or none.
pub(super) fn image_shape(dimensions: &[usize]) -> Option<(Shape, Layout)> {
    let channels = |count: usize| matches!(count, 1 | 3);
    let (shape, layout) = match *dimensions {
        [rows, columns] => (Shape::new(1, rows, columns), Layout::First),
        [rows, columns, last] if channels(last) => (Shape::new(last, rows, columns), Layout::Last),
        [first, rows, columns] if channels(first) => {
            (Shape::new(first, rows, columns), Layout::First)
        }
        _ => return None,
    };
    (!shape.is_empty()).then_some((shape, layout))
}

/// Moves channels from behind the pixels to before them.
pub(super) fn channels_first(levels: Vec<u8>, shape: Shape, layout: Layout) -> Vec<u8> {
    if layout == Layout::First || shape.channels == 1 {
        return levels;
    }
    let mut out = Vec::with_capacity(levels.len());
    for image in levels.chunks_exact(shape.len()) {
        for channel in 0..shape.channels {
            out.extend(image.iter().skip(channel).step_by(shape.channels));
        }
    }
    out
}

fn read_error(file: &str, error: &io::Error) -> DatasetError {
    // The gzip decoder reports damage by these kinds and without a code of the system.
    let damaged = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData);
    if damaged && error.raw_os_error().is_none() {
        return DatasetError::Gzip { file: file.to_owned(), message: error.to_string() };
    }
    DatasetError::Io { file: file.to_owned(), kind: error.kind() }
}
