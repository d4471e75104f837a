//! Reading logs: whether they are what services wrote.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use crate::entry::{Entry, Link, MAX_LINE};
use crate::error::{Fault, VerifyError};

/// What is known of logs whose chain holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// Lines.
    pub lines: u64,
    /// Number of the first line; not 0 if older files are missing.
    pub first: u64,
    /// Hash of the last line, to be noted: who cuts lines off later cannot keep it.
    pub head: String,
}

/// Reads the files of one chain, the oldest first, and looks at every line. With `head`, one of
/// them has to have that hash.
///
/// # Errors
/// [`VerifyError`], naming the first line that is wrong.
pub fn verify(paths: &[PathBuf], head: Option<&str>) -> Result<Verified, VerifyError> {
    let mut at: Option<Link> = None;
    let mut lines = 0;
    let mut first = 0;
    let mut met = false;
    for path in paths {
        let refused =
            |error: io::Error| VerifyError::File { path: path.clone(), cause: error.to_string() };
        let mut file = BufReader::new(File::open(path).map_err(refused)?);
        let mut number = 0;
        while let Some(line) = next_line(&mut file).map_err(refused)? {
            number += 1;
            let checked = line.and_then(|line| follow(&line, at.as_ref()));
            let entry = checked.map_err(|fault| broken(path, number, fault))?;
            if at.is_none() {
                first = entry.number;
            }
            met |= head == Some(entry.hash.as_str());
            at = Some(entry.link());
            lines += 1;
        }
    }
    let head_of_log = at.ok_or(VerifyError::Empty)?.hash;
    match head {
        Some(hash) if !met => Err(VerifyError::Headless { hash: hash.to_owned() }),
        Some(_) | None => Ok(Verified { lines, first, head: head_of_log }),
    }
}

/// The next line without its break; `None` at the end.
fn next_line(file: &mut impl BufRead) -> io::Result<Option<Result<Vec<u8>, Fault>>> {
    let mut line = Vec::new();
    file.take(MAX_LINE as u64).read_until(b'\n', &mut line)?;
    Ok(match line.pop() {
        None => None,
        Some(b'\n') => Some(Ok(line)),
        Some(_) if line.len() + 1 == MAX_LINE => Some(Err(Fault::NoEntry)),
        Some(_) => Some(Err(Fault::Torn)),
    })
}

/// An entry that is as it was written and stands at its place.
fn follow(line: &[u8], at: Option<&Link>) -> Result<Entry, Fault> {
    let entry = Entry::read(line)?;
    match at {
        // Older files may have been thrown away, but number 0 has nothing before it.
        None if entry.number == 0 && !entry.is_first() => Err(Fault::Unlinked),
        None => Ok(entry),
        Some(link) if entry.number != link.next => {
            Err(Fault::Number { got: entry.number, expected: link.next })
        }
        Some(link) if entry.previous != link.hash => Err(Fault::Unlinked),
        Some(_) => Ok(entry),
    }
}

fn broken(path: &Path, line: u64, fault: Fault) -> VerifyError {
    VerifyError::Broken { path: path.to_owned(), line, fault }
}
