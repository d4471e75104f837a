//! Compressed or not: told apart by the first bytes, and read alike.

use std::io::{self, BufRead, BufReader, Cursor, Read};

use flate2::bufread::GzDecoder;

const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// The contents of a file, decompressed if it begins as a gzip file does.
///
/// # Errors
/// What the system says about the first bytes.
pub(super) fn contents<'a>(mut raw: impl Read + 'a) -> io::Result<Box<dyn Read + 'a>> {
    let mut start = Vec::new();
    raw.by_ref().take(2).read_to_end(&mut start)?;
    let gzip = start == MAGIC;
    let raw = BufReader::with_capacity(1 << 16, Cursor::new(start).chain(raw));
    Ok(if gzip { Box::new(Members::Inside(GzDecoder::new(raw))) } else { Box::new(raw) })
}

/// The members of a gzip file one after the other, zeros behind them ignored: tapes and some
/// programs pad files.
enum Members<R> {
    Inside(GzDecoder<R>),
    End,
}

impl<R: BufRead> Read for Members<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let Self::Inside(member) = self else { return Ok(0) };
            let got = member.read(buffer)?;
            if got > 0 || buffer.is_empty() {
                return Ok(got);
            }
            let Self::Inside(member) = std::mem::replace(self, Self::End) else { return Ok(0) };
            let mut rest = member.into_inner();
            if skip_zeros(&mut rest)? {
                *self = Self::Inside(GzDecoder::new(rest));
            }
        }
    }
}

/// Whether something follows the zeros.
fn skip_zeros(rest: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = rest.fill_buf()?;
        if buffer.is_empty() {
            return Ok(false);
        }
        let zeros = buffer.iter().take_while(|byte| **byte == 0).count();
        let more = zeros < buffer.len();
        rest.consume(zeros);
        if more {
            return Ok(true);
        }
    }
}
