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
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use notify::event::{AccessKind, AccessMode, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use sphinx_client::data::{Pipeline, shown};

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

/// A directory that is watched: whatever comes later is not missed.
pub(super) struct Place {
    /// As the user has it.
    shown: PathBuf,
    /// What the watcher reports paths in.
    path: PathBuf,
    arriving: Arriving,
    watched: Option<Watched>,
}

/// The directory that has the path now.
struct Watched {
    events: mpsc::Receiver<notify::Result<Event>>,
    /// Ends with it.
    _watcher: RecommendedWatcher,
    /// What tells it from another of the same path.
    identity: Identity,
}

/// Device and number of a directory, where the system has such.
type Identity = Option<(u64, u64)>;

impl Place {
    /// # Errors
    /// [`CliError::Watch`] for a file, and where the system refuses.
    pub(super) fn watch(directory: &Path) -> Result<Self, CliError> {
        let failed = |cause: String| CliError::Watch { path: directory.to_owned(), cause };
        if directory.exists() && !directory.is_dir() {
            return Err(failed("it is a file; name it as an argument, or watch its folder".into()));
        }
        let path = std::env::current_dir().map_err(CliError::System)?.join(directory);
        let watched = Watched::new(&path).map_err(failed)?;
        let mut arriving = Arriving::default();
        visible(&path).iter().for_each(|path| arriving.done(path));
        Ok(Self { shown: directory.to_owned(), path, arriving, watched: Some(watched) })
    }

    /// The pictures that arrive from now on.
    pub(super) fn arrivals(self, pipeline: Arc<Pipeline>) -> Images {
        from_thread(move |sender| self.read(&sender, &pipeline))
    }

    fn read(mut self, sender: &Sender, pipeline: &Pipeline) {
        while !sender.is_closed() {
            let complete = self.complete();
            for path in complete.into_iter().chain(self.arriving.quiet(Instant::now())) {
                // Gone again, or a directory.
                if !path.is_file() {
                    continue;
                }
                self.arriving.done(&path);
                if !sender.send(Image::open(&path, pipeline)) {
                    return;
                }
            }
            self.keep_watching();
        }
    }

    /// Waits for a report; the files that are complete with it.
    fn complete(&mut self) -> Vec<PathBuf> {
        let Some(watched) = &self.watched else {
            // Nothing reports: wait as long as for a report. Nobody sends on this channel.
            let (_sender, nobody) = mpsc::channel::<()>();
            let _ = nobody.recv_timeout(LOOK);
            return Vec::new();
        };
        match watched.events.recv_timeout(LOOK) {
            Ok(Ok(event)) if event.need_rescan() => {
                self.arriving.forget_gone(&self.path);
                self.arriving.look(&self.path, Instant::now());
                Vec::new()
            }
            Ok(Ok(event)) => self.arriving.note(&event, Instant::now()),
            // One file less; the others go on.
            Ok(Err(_)) | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                Vec::new()
            }
        }
    }

    /// Says when the directory is gone, removed or renamed, and watches the one that has its path
    /// afterwards: what is in that and was not there before has arrived.
    fn keep_watching(&mut self) {
        let now = identity(&self.path);
        if let Some(watched) = &self.watched {
            if now.is_some() && now == watched.identity {
                return;
            }
            self.watched = None;
            say(&format!("{} is gone; it is watched again when it returns", shown(&self.shown)));
        }
        if now.is_none() {
            return;
        }
        if let Ok(watched) = Watched::new(&self.path) {
            self.watched = Some(watched);
            say(&format!("{} is back and watched again", shown(&self.shown)));
            self.arriving.look(&self.path, Instant::now());
        }
    }
}

impl Watched {
    /// # Errors
    /// What the system says.
    fn new(path: &Path) -> Result<Self, String> {
        let failed = |error: notify::Error| {
            if let notify::ErrorKind::Io(error) = error.kind {
                error.to_string()
            } else {
                format!("{:?}", error.kind)
            }
        };
        let (sender, events) = mpsc::channel();
        let mut watcher = notify::recommended_watcher(sender).map_err(failed)?;
        watcher.watch(path, RecursiveMode::NonRecursive).map_err(failed)?;
        Ok(Self { events, _watcher: watcher, identity: identity(path) })
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> Identity {
    use std::os::unix::fs::MetadataExt;
    let metadata = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
    Some((metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> Identity {
    path.is_dir().then_some((0, 0))
}

fn say(text: &str) {
    // Standard error may be closed.
    let _ = writeln!(io::stderr(), "sphinx: {text}");
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

    /// Names that are free again are those of new files.
    fn forget_gone(&mut self, directory: &Path) {
        let paths = visible(directory);
        self.known.retain(|name, _| paths.contains(&directory.join(name)));
    }

    /// Reads the directory: what nobody reported is touched now.
    fn look(&mut self, directory: &Path, now: Instant) {
        for path in visible(directory) {
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
    use sphinx_client::data::Classes;

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
        let mut place = Place::watch(directory.path()).unwrap();
        fs::write(directory.path().join("late.png"), "no picture").unwrap();
        let (sender, events) = mpsc::channel();
        sender.send(Ok(Event::new(EventKind::Other).set_flag(Flag::Rescan))).unwrap();
        place.watched.as_mut().unwrap().events = events;
        let pipeline = Pipeline::digit(Classes::numbered(10));
        let mut images = place.arrivals(Arc::new(pipeline));
        let error = images.next().await.unwrap().err().unwrap().to_string();
        assert!(error.contains("late.png"), "{error}");
    }

    #[tokio::test]
    async fn a_directory_that_returns_is_watched_again() {
        let above = tempfile::tempdir().unwrap();
        let inbox = above.path().join("inbox");
        fs::create_dir(&inbox).unwrap();
        fs::write(inbox.join("before.png"), "was there").unwrap();
        let place = Place::watch(&inbox).unwrap();
        let mut images = place.arrivals(Arc::new(Pipeline::digit(Classes::numbered(10))));
        let mut next = async || images.next().await.unwrap().err().unwrap().to_string();
        // Renamed away, with another in its place that has a picture in it.
        fs::rename(&inbox, above.path().join("old")).unwrap();
        fs::create_dir(&inbox).unwrap();
        fs::write(inbox.join("first.png"), "no picture").unwrap();
        assert!(next().await.contains("first.png"));
        fs::write(inbox.join("second.png"), "no picture").unwrap();
        assert!(next().await.contains("second.png"));
        fs::remove_dir_all(&inbox).unwrap();
        tokio::time::sleep(4 * LOOK).await;
        fs::rename(above.path().join("old"), &inbox).unwrap();
        fs::write(inbox.join("third.png"), "no picture").unwrap();
        assert!(next().await.contains("third.png"));
    }

    #[test]
    fn rejects_files_and_what_is_not_there() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("a.png");
        fs::write(&file, "").unwrap();
        let said = |path: &Path| Place::watch(path).err().unwrap().to_string();
        assert!(said(&file).contains("a.png cannot be watched: it is a file"), "{}", said(&file));
        assert!(said(&directory.path().join("none")).contains("none cannot be watched: "));
    }
}
