//! IDX files: checked by their header before a byte of the contents is believed.
//!
//! Format: big-endian magic number, one big-endian `u32` per dimension, then one byte per value
//! (Y. LeCun, <http://yann.lecun.com/exdb/mnist/>). The magic number's last byte is the number of
//! dimensions, the one before it says what a value is; the first dimension counts the items. How
//! many items of which size a file must hold is for the source that opens it to say.

use std::cmp::Ordering;
use std::io::{BufReader, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use crate::error::DatasetError;

/// Magic number of a file of bytes, without the number of its dimensions.
const BYTES: u32 = 0x0000_0800;
/// Length of the magic number and of a dimension.
const WORD: usize = 4;

/// An IDX file of `N` dimensions whose header has been checked and whose contents have not been
/// read.
pub(super) struct IdxFile<'a, const N: usize> {
    name: String,
    dimensions: [u32; N],
    header: Vec<u8>,
    contents: Box<dyn Read + 'a>,
}

impl<'a, const N: usize> IdxFile<'a, N> {
    const HEADER: usize = WORD * (1 + N);
    const MAGIC: u32 = BYTES | N as u32;

    /// Reads and checks the header; gzip is recognised by its first bytes, not by the name.
    ///
    /// # Errors
    /// [`DatasetError::Magic`], [`DatasetError::Truncated`], [`DatasetError::Gzip`] or
    /// [`DatasetError::Io`].
    pub(super) fn open(name: String, mut raw: impl Read + 'a) -> Result<Self, DatasetError> {
        let mut start = Vec::new();
        raw.by_ref().take(2).read_to_end(&mut start).map_err(|e| read_error(&name, &e))?;
        let gzip = start == [0x1f, 0x8b];
        let raw = BufReader::with_capacity(1 << 16, Cursor::new(start).chain(raw));
        let contents: Box<dyn Read + 'a> =
            if gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
        let mut file = Self { name, dimensions: [0; N], header: Vec::new(), contents };
        file.read_header()?;
        Ok(file)
    }

    /// Name for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The dimensions that the header announces, the number of items first.
    pub(super) fn dimensions(&self) -> [u32; N] {
        self.dimensions
    }

    /// The whole file, header included, decompressed; its length is the one announced. Memory is
    /// bounded by the announced length, whatever a gzip stream expands to.
    pub(super) fn into_bytes(mut self) -> Result<Vec<u8>, DatasetError> {
        let values = self.dimensions.iter().map(|&d| u64::from(d)).fold(1, u64::saturating_mul);
        let expected = values.saturating_add(self.header.len() as u64);
        let mut bytes = std::mem::take(&mut self.header);
        let rest = expected - bytes.len() as u64;
        // One byte beyond the end: shows trailing bytes, and makes gzip verify its checksum.
        self.read(rest.saturating_add(1), expected, &mut bytes)?;
        match (bytes.len() as u64).cmp(&expected) {
            Ordering::Less => Err(self.truncated(bytes.len(), expected)),
            Ordering::Equal => Ok(bytes),
            Ordering::Greater => Err(DatasetError::TrailingBytes { file: self.name, expected }),
        }
    }

    fn read_header(&mut self) -> Result<(), DatasetError> {
        let (len, expected) = (Self::HEADER, Self::MAGIC);
        let mut header = Vec::with_capacity(len);
        self.read(len as u64, len as u64, &mut header)?;
        // The magic number first: of a short foreign file it says more than the length.
        let words = header.as_chunks().0;
        if let Some(got) = words.first().map(|word| u32::from_be_bytes(*word))
            && got != expected
        {
            return Err(DatasetError::Magic { file: self.name.clone(), got, expected });
        }
        if header.len() != len {
            return Err(self.truncated(header.len(), len as u64));
        }
        for (dimension, word) in self.dimensions.iter_mut().zip(words.iter().skip(1)) {
            *dimension = u32::from_be_bytes(*word);
        }
        self.header = header;
        Ok(())
    }

    /// Appends at most `limit` bytes; a stream that ends early in its gzip envelope is truncated.
    fn read(&mut self, limit: u64, expected: u64, to: &mut Vec<u8>) -> Result<(), DatasetError> {
        let outcome = self.contents.by_ref().take(limit).read_to_end(to);
        match outcome {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == ErrorKind::UnexpectedEof => {
                Err(self.truncated(to.len(), expected))
            }
            Err(e) => Err(read_error(&self.name, &e)),
        }
    }

    fn truncated(&self, got: usize, expected: u64) -> DatasetError {
        DatasetError::Truncated { file: self.name.clone(), got: got as u64, expected }
    }
}

fn read_error(file: &str, error: &std::io::Error) -> DatasetError {
    // The gzip decoder reports damage by these kinds and without a code of the system.
    let damaged = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData);
    if damaged && error.raw_os_error().is_none() {
        return DatasetError::Gzip { file: file.to_owned(), message: error.to_string() };
    }
    DatasetError::Io { file: file.to_owned(), kind: error.kind() }
}
