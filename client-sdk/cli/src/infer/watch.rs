//! Pictures that arrive in a directory.
//!
//! A picture is complete when its writer closes it or renames it into the directory, or, where the
//! system does not report that, when it has not changed for [`QUIET`]. Names that begin with a dot
//! are left alone, as are files that were there before: writers that take their time use such a
//! name and rename the file in the end. When the system has lost reports because too many came at
//! once, the directory is read again.

use std::collections::{HashMap, HashSet};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecursiveMode, Watcher};

use super::input::{Image, Images, Sender, from_thread};
use crate::error::CliError;

/// A file that has not changed for so long is complete.
const QUIET: Duration = Duration::from_millis(500);
/// How often that is looked at, and whether somebody still wants images.
const LOOK: Duration = Duration::from_millis(50);

/// The files of a directory that were touched and may not be complete, and those that are done
/// with.
#[derive(Default)]
struct Arriving {
    touched: HashMap<PathBuf, Instant>,
    /// Files that were there before or were handed on, and when they were written last.
    known: HashMap<OsString, Option<SystemTime>>,
}

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
    // What the watcher reports paths in.
    let place = std::env::current_dir().map_err(CliError::System)?.join(directory);
    let (events, received) = mpsc::channel();
    let mut watcher = notify::recommended_watcher(events).map_err(failed)?;
    // Watched before this returns: nothing that comes later is missed.
    watcher.watch(&place, RecursiveMode::NonRecursive).map_err(failed)?;
    let mut arriving = Arriving::default();
    visible(&place).iter().for_each(|path| arriving.done(path));
    Ok(from_thread(move |sender| {
        read(&received, &place, arriving, &sender);
        drop(watcher);
    }))
}

fn read(
    events: &mpsc::Receiver<notify::Result<Event>>,
    directory: &Path,
    mut arriving: Arriving,
    sender: &Sender,
) {
    while !sender.is_closed() {
        let complete = match events.recv_timeout(LOOK) {
            Ok(Ok(event)) if event.need_rescan() => {
                arriving.look(directory, Instant::now());
                Vec::new()
            }
            Ok(Ok(event)) => arriving.note(&event, Instant::now()),
            // One file less; the others go on.
            Ok(Err(_)) | Err(RecvTimeoutError::Timeout) => Vec::new(),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for path in complete.into_iter().chain(arriving.quiet(Instant::now())) {
            // Gone again, or a directory.
            if !path.is_file() {
                continue;
            }
            arriving.done(&path);
            if !sender.send(Image::open(&path)) {
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
            // Only if something was written: closing a file again that was complete before is no
            // arrival.
            EventKind::Access(AccessKind::Close(AccessMode::Write)) => {
                paths.filter_map(|path| Some(self.touched.remove_entry(path)?.0)).collect()
            }
            EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                let paths: Vec<PathBuf> = paths.cloned().collect();
                self.touched.retain(|path, _| !paths.contains(path));
                paths
            }
            // Says both halves once more.
            EventKind::Modify(ModifyKind::Name(RenameMode::Both)) => Vec::new(),
            EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(RenameMode::From)) => {
                paths.for_each(|path| self.gone(path));
                Vec::new()
            }
            EventKind::Create(_) | EventKind::Modify(_) => {
                self.touched.extend(paths.map(|path| (path.clone(), now)));
                Vec::new()
            }
            EventKind::Any | EventKind::Access(_) | EventKind::Other => Vec::new(),
        }
    }

    /// Reads the directory: what nobody reported is touched now.
    fn look(&mut self, directory: &Path, now: Instant) {
        let paths = visible(directory);
        self.known.retain(|name, _| paths.contains(&directory.join(name)));
        for path in paths {
            let name = path.file_name().unwrap_or_default();
            if self.known.get(name) != Some(&written(&path)) {
                self.touched.entry(path).or_insert(now);
            }
        }
    }

    /// A file that was there before or is handed on.
    fn done(&mut self, path: &Path) {
        if let Some(name) = path.file_name() {
            self.known.insert(name.to_owned(), written(path));
        }
    }

    fn gone(&mut self, path: &Path) {
        self.touched.remove(path);
        if let Some(name) = path.file_name() {
            self.known.remove(name);
        }
    }

    /// The files that have not changed for a while.
    fn quiet(&mut self, now: Instant) -> Vec<PathBuf> {
        let complete = |_: &PathBuf, touched: &mut Instant| now.duration_since(*touched) >= QUIET;
        let quiet = self.touched.extract_if(complete);
        let mut paths: Vec<PathBuf> = quiet.map(|(path, _)| path).collect();
        paths.sort();
        paths
    }
}

/// The files of a directory that are not to be left alone; none if it cannot be read.
fn visible(directory: &Path) -> HashSet<PathBuf> {
    let paths = fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| !is_hidden(path)).collect()
}

/// When a file was written last, if the system knows.
fn written(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."))
}

#[cfg(test)]
mod tests {
    use futures::StreamExt;
    use notify::event::{CreateKind, DataChange, Flag, RemoveKind};

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
        let both = EventKind::Modify(ModifyKind::Name(RenameMode::Both));
        assert!(note(both, "in/b.png", 40).is_empty());
        assert!(note(RENAME, "in/.hidden", 50).is_empty());
        assert!(note(CREATE, "in/slow.png", 60).is_empty());
        assert!(note(CREATE, "in/gone.png", 60).is_empty());
        assert!(note(WRITE, "in/slow.png", 400).is_empty());
        assert!(note(EventKind::Remove(RemoveKind::File), "in/gone.png", 410).is_empty());
        let at = |millis| start + Duration::from_millis(millis);
        assert!(arriving.quiet(at(899)).is_empty());
        assert_eq!(arriving.quiet(at(900)), [PathBuf::from("in/slow.png")]);
        assert!(arriving.quiet(at(5000)).is_empty());
    }

    /// The system lost the reports of three files, one of them an old one that was written again.
    #[test]
    fn files_whose_reports_were_lost_are_found_once() {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, age: u64| {
            let path = directory.path().join(name);
            let file = fs::File::create(&path).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            path
        };
        let mut arriving = Arriving::default();
        for path in [file("before.png", 100), file("handed-on.png", 90), file("again.png", 80)] {
            arriving.done(&path);
        }
        let (again, late) = (file("again.png", 0), file("late.png", 0));
        // Renamed into the directory long after it was written.
        let old = file("old.png", 200);
        file(".hidden.png", 0);
        let start = Instant::now();
        arriving.look(directory.path(), start);
        assert!(arriving.quiet(start).is_empty());
        let found = arriving.quiet(start + QUIET);
        assert_eq!(found, [again, late, old]);
        found.iter().for_each(|path| arriving.done(path));
        arriving.look(directory.path(), start);
        assert!(arriving.quiet(start + QUIET).is_empty());
        // A name that is free again is a new file's.
        arriving
            .note(&event(EventKind::Remove(RemoveKind::File), found[1].to_str().unwrap()), start);
        arriving.look(directory.path(), start);
        assert_eq!(arriving.quiet(start + QUIET), found[1..2]);
    }

    #[tokio::test]
    async fn a_directory_is_read_again_when_reports_were_lost() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("late.png"), "no picture").unwrap();
        let (events, received) = mpsc::channel();
        let place = directory.path().to_owned();
        let mut images =
            from_thread(move |sender| read(&received, &place, Arriving::default(), &sender));
        events.send(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))).unwrap();
        let error = images.next().await.unwrap().err().unwrap().to_string();
        assert!(error.contains("late.png"), "{error}");
    }
}
