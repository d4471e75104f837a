//! Pictures that arrive in a directory.
//!
//! A picture is complete when its writer closes it or renames it into the directory, or, where the system does not
//! report that, when it has not changed for [`QUIET`]. Names that begin with a dot are left alone, as are files that
//! were there before: writers that take their time use such a name and rename the file in the end.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecursiveMode, Watcher};

use super::input::{Image, Images, Sender, from_thread};
use crate::error::CliError;

/// A file that has not changed for so long is complete.
const QUIET: Duration = Duration::from_millis(500);
/// How often that is looked at, and whether somebody still wants images.
const LOOK: Duration = Duration::from_millis(50);

/// Files that were touched and may not be complete.
#[derive(Default)]
struct Arriving(HashMap<PathBuf, Instant>);

/// The pictures that arrive from now on.
pub(super) fn arrivals(directory: &Path) -> Result<Images, CliError> {
    let failed = |error: notify::Error| CliError::Watch {
        path: directory.to_owned(),
        cause: if let notify::ErrorKind::Io(error) = error.kind {
            error.to_string()
        } else {
            format!("{:?}", error.kind)
        },
    };
    let (events, received) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(events).map_err(failed)?;
    // Watched before this returns: nothing that comes later is missed.
    watcher.watch(directory, RecursiveMode::NonRecursive).map_err(failed)?;
    Ok(from_thread(move |sender| {
        read(&received, &sender);
        drop(watcher);
    }))
}

fn read(events: &mpsc::Receiver<notify::Result<Event>>, sender: &Sender) {
    let mut arriving = Arriving::default();
    while !sender.is_closed() {
        let complete = match events.recv_timeout(LOOK) {
            Ok(Ok(event)) => arriving.note(&event, Instant::now()),
            // One file less; the others go on.
            Ok(Err(_)) | Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for path in complete.into_iter().chain(arriving.quiet(Instant::now())) {
            // Gone again, or a directory.
            if path.is_file() && !sender.send(Image::open(&path)) {
                return;
            }
        }
    }
}

impl Arriving {
    /// Takes note of an event; the files that are complete with it.
    fn note(&mut self, event: &Event, now: Instant) -> Vec<PathBuf> {
        let paths = event.paths.iter().filter(|path| !is_hidden(path));
        match event.kind {
            // Only if something was written: closing a file again that was complete before is no arrival.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                paths.filter_map(|path| Some(self.0.remove_entry(path)?.0)).collect()
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                let paths: Vec<PathBuf> = paths.cloned().collect();
                self.forget(&paths);
                paths
            }
            EventKind::Create(_) | EventKind::Modify(_) => {
                self.0.extend(paths.map(|path| (path.clone(), now)));
                Vec::new()
            }
            EventKind::Remove(_) => {
                self.forget(&paths.cloned().collect::<Vec<_>>());
                Vec::new()
            }
            EventKind::Any | EventKind::Access(_) | EventKind::Other => Vec::new(),
        }
    }

    fn forget(&mut self, paths: &[PathBuf]) {
        self.0.retain(|path, _| !paths.contains(path));
    }

    /// The files that have not changed for a while.
    fn quiet(&mut self, now: Instant) -> Vec<PathBuf> {
        let complete = |_: &PathBuf, touched: &mut Instant| now.duration_since(*touched) >= QUIET;
        let mut paths: Vec<PathBuf> = self.0.extract_if(complete).map(|(path, _)| path).collect();
        paths.sort();
        paths
    }
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, DataChange};

    use super::*;

    fn event(kind: EventKind, path: &str) -> Event {
        Event::new(kind).add_path(path.into())
    }

    const CREATE: EventKind = EventKind::Create(CreateKind::File);
    const WRITE: EventKind = EventKind::Modify(ModifyKind::Data(DataChange::Any));
    const CLOSE: EventKind = EventKind::Access(AccessKind::Close(AccessMode::Write));
    const RENAME: EventKind = EventKind::Modify(ModifyKind::Name(RenameMode::To));

    #[test]
    fn files_arrive_when_they_are_closed_renamed_or_quiet_and_once() {
        let (mut arriving, start) = (Arriving::default(), Instant::now());
        let mut note = |kind, path, millis| {
            arriving.note(&event(kind, path), start + Duration::from_millis(millis))
        };
        assert!(note(CREATE, "in/a.png", 0).is_empty());
        assert!(note(WRITE, "in/a.png", 10).is_empty());
        assert_eq!(note(CLOSE, "in/a.png", 20), [PathBuf::from("in/a.png")]);
        assert!(note(CLOSE, "in/a.png", 30).is_empty());
        assert_eq!(note(RENAME, "in/b.png", 40), [PathBuf::from("in/b.png")]);
        assert!(note(RENAME, "in/.hidden", 50).is_empty());
        assert!(note(CREATE, "in/slow.png", 60).is_empty());
        assert!(note(CREATE, "in/gone.png", 60).is_empty());
        assert!(note(WRITE, "in/slow.png", 400).is_empty());
        assert!(
            note(EventKind::Remove(notify::event::RemoveKind::File), "in/gone.png", 410).is_empty()
        );
        let at = |millis| start + Duration::from_millis(millis);
        assert!(arriving.quiet(at(899)).is_empty());
        assert_eq!(arriving.quiet(at(900)), [PathBuf::from("in/slow.png")]);
        assert!(arriving.quiet(at(5000)).is_empty());
    }
}
