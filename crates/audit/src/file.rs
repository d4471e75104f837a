//! What stands at the end of a log, and of those that it was rotated from.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use crate::entry::{Entry, Link, MAX_LINE};
use crate::error::Fault;

/// The end of a file.
pub(crate) struct End {
    /// The last whole line; `None` of an empty file.
    pub(crate) last: Option<Result<Entry, Fault>>,
    /// Bytes after it: a line that a crash has cut.
    pub(crate) torn: u64,
    /// Bytes up to the end of the last whole line.
    pub(crate) whole: u64,
}

/// Looks at the end of a file. One that is none on a disk, as a pipe is, has no end.
pub(crate) fn end(file: &mut File) -> io::Result<End> {
    let metadata = file.metadata()?;
    let length = if metadata.is_file() { metadata.len() } else { 0 };
    // The torn line and the whole one before it.
    let window = length.min(2 * MAX_LINE as u64);
    let mut tail = Vec::new();
    if window > 0 {
        file.seek(SeekFrom::Start(length - window))?;
        file.take(window).read_to_end(&mut tail)?;
    }
    let (lines, torn) = match tail.iter().rposition(|&byte| byte == b'\n') {
        Some(at) => tail.split_at(at + 1),
        None => tail.split_at(0),
    };
    let last = lines.strip_suffix(b"\n").map(|lines| {
        let line = lines.rsplit(|&byte| byte == b'\n').next().unwrap_or(lines);
        Entry::read(line)
    });
    // So long a line was never written.
    let last =
        if last.is_none() && torn.len() > MAX_LINE { Some(Err(Fault::NoEntry)) } else { last };
    let torn = torn.len() as u64;
    Ok(End { last, torn, whole: length - torn })
}

/// Where the chain was in the files that the one at `path` was rotated to: those beside it whose
/// name goes on after its own with `.` or `-`. The first link if there are none.
pub(crate) fn rotated(path: &Path) -> Link {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(beside) = fs::read_dir(parent.unwrap_or(Path::new("."))) else { return Link::first() };
    let links = beside.flatten().filter_map(|file| {
        let other = file.file_name().to_string_lossy().into_owned();
        other.strip_prefix(&name).filter(|rest| rest.starts_with(['.', '-']))?;
        let last = end(&mut File::open(file.path()).ok()?).ok()?.last?;
        Some(last.ok()?.link())
    });
    links.max_by_key(|link| link.next).unwrap_or_else(Link::first)
}
