//! IDX files: checked by their header before a byte of the contents is believed.
//!
//! Format: big-endian magic number, one big-endian `u32` per dimension, then one byte per value
//! (Y. LeCun, <http://yann.lecun.com/exdb/mnist/>).

use std::io::{BufReader, Cursor, ErrorKind, Read};

use flate2::read::MultiGzDecoder;

use super::DatasetError;

/// What an IDX file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum IdxKind {
    /// `[count][28][28]` pixels.
    Images,
    /// `[count]` labels.
    Labels,
}

impl IdxKind {
    const fn magic(self) -> u32 {
        match self {
            Self::Images => 0x0000_0803,
            Self::Labels => 0x0000_0801,
        }
    }

    const fn header_len(self) -> usize {
        match self {
            Self::Images => 16,
            Self::Labels => 8,
        }
    }

    const fn item_len(self) -> u64 {
        match self {
            Self::Images => (SIDE as u64) * (SIDE as u64),
            Self::Labels => 1,
        }
    }
}

/// Rows and columns of an MNIST image.
pub(super) const SIDE: u32 = 28;

/// An IDX file whose header has been checked and whose contents have not been read.
pub(super) struct IdxFile<'a> {
    name: String,
    kind: IdxKind,
    count: u32,
    header: Vec<u8>,
    contents: Box<dyn Read + 'a>,
}

impl<'a> IdxFile<'a> {
    /// Reads and checks the header; gzip is recognised by its first bytes, not by the name.
    pub(super) fn open(
        name: String,
        kind: IdxKind,
        mut raw: impl Read + 'a,
    ) -> Result<Self, DatasetError> {
        let mut start = Vec::new();
        raw.by_ref().take(2).read_to_end(&mut start).map_err(|e| read_error(&name, &e))?;
        let gzip = start == [0x1f, 0x8b];
        let raw = BufReader::with_capacity(1 << 16, Cursor::new(start).chain(raw));
        let contents: Box<dyn Read + 'a> =
            if gzip { Box::new(MultiGzDecoder::new(raw)) } else { Box::new(raw) };
        let mut file = Self { name, kind, count: 0, header: Vec::new(), contents };
        file.read_header()?;
        Ok(file)
    }

    /// Name for messages.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Items that the header announces.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// The whole file, header included, decompressed; its length is the one announced. Memory is
    /// bounded by the announced length, whatever a gzip stream expands to.
    pub(super) fn into_bytes(mut self) -> Result<Vec<u8>, DatasetError> {
        let expected = self.header.len() as u64 + u64::from(self.count) * self.kind.item_len();
        let mut bytes = std::mem::take(&mut self.header);
        let rest = expected - bytes.len() as u64;
        // One byte beyond the end: shows trailing bytes, and makes gzip verify its checksum.
        self.read(rest + 1, expected, &mut bytes)?;
        match (bytes.len() as u64).cmp(&expected) {
            std::cmp::Ordering::Less => Err(self.truncated(bytes.len(), expected)),
            std::cmp::Ordering::Equal => Ok(bytes),
            std::cmp::Ordering::Greater => {
                Err(DatasetError::TrailingBytes { file: self.name, expected })
            }
        }
    }

    fn read_header(&mut self) -> Result<(), DatasetError> {
        let len = self.kind.header_len();
        let mut header = Vec::with_capacity(len);
        self.read(len as u64, len as u64, &mut header)?;
        // The magic number first: of a short foreign file it says more than the length.
        if let Some(got) = word(&header, 0)
            && got != self.kind.magic()
        {
            let expected = self.kind.magic();
            return Err(DatasetError::Magic { file: self.name.clone(), got, expected });
        }
        let Some(count) = word(&header, 1).filter(|_| header.len() == len) else {
            return Err(self.truncated(header.len(), len as u64));
        };
        if self.kind == IdxKind::Images
            && let (Some(got_rows), Some(got_cols)) = (word(&header, 2), word(&header, 3))
            && (got_rows, got_cols) != (SIDE, SIDE)
        {
            return Err(DatasetError::ImageSize {
                file: self.name.clone(),
                got_rows,
                got_cols,
                expected_rows: SIDE,
                expected_cols: SIDE,
            });
        }
        self.count = count;
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

/// The `index`-th big-endian word.
fn word(bytes: &[u8], index: usize) -> Option<u32> {
    let word = bytes.get(4 * index..)?.first_chunk::<4>()?;
    Some(u32::from_be_bytes(*word))
}

fn read_error(file: &str, error: &std::io::Error) -> DatasetError {
    // The gzip decoder reports damage by these kinds and without a code of the system.
    let damaged = matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::InvalidData);
    if damaged && error.raw_os_error().is_none() {
        return DatasetError::Gzip { file: file.to_owned(), message: error.to_string() };
    }
    DatasetError::Io { file: file.to_owned(), kind: error.kind() }
}
