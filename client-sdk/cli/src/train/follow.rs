//! `--follow DIR`: what has arrived, and how many steps are due.
//!
//! A training of so many epochs on as many images as were announced has T steps. Of n images that
//! are there, the share ⌈T · n / announced⌉ is due, less the steps in the ledger: a following that
//! was killed goes on by being started again, and noise is planned so that the budget lasts.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use clap::Args;

/// More pictures than anybody follows.
const MOST: u64 = 100_000_000;

/// Pictures that arrive.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Pictures that arrive")]
pub struct FollowFlags {
    /// Train further as pictures arrive in a directory, until Ctrl-C; all of them are trained on,
    /// none is kept for testing
    #[arg(
        long,
        value_name = "DIR",
        requires = "up_to",
        conflicts_with_all = ["data", "skip_unreadable", "unit", "decay", "decay_floor", "averaging"]
    )]
    follow: Option<PathBuf>,
    /// With --follow: images that budget and --epochs are for
    #[arg(long, value_name = "N", requires = "follow", value_parser = clap::value_parser!(u64).range(1..=MOST))]
    up_to: Option<u64>,
}

/// A directory to be followed.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Where the pictures come.
    pub directory: &'a Path,
    /// Images that the budget has to last for.
    pub up_to: u64,
}

/// Files of a directory and all below it: how many, how large, the newest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stamp {
    files: u64,
    bytes: u64,
    newest: Option<SystemTime>,
}

/// What is to be done for the images that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Due {
    /// Steps now.
    pub now: u64,
    /// Steps until the set has the announced size.
    pub remaining: u64,
}

impl FollowFlags {
    /// The directory, if there is one to follow.
    pub fn given(&self) -> Option<Place<'_>> {
        Some(Place { directory: self.follow.as_deref()?, up_to: self.up_to? })
    }
}

impl Stamp {
    pub fn of(directory: &Path) -> io::Result<Self> {
        let mut stamp = Self::default();
        let mut folders = vec![directory.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder)? {
                let entry = entry?;
                // Gone again meanwhile.
                let Ok(found) = entry.metadata() else { continue };
                if found.is_dir() {
                    folders.push(entry.path());
                } else {
                    stamp.files += 1;
                    stamp.bytes += found.len();
                    stamp.newest = stamp.newest.max(found.modified().ok());
                }
            }
        }
        Ok(stamp)
    }
}

impl Due {
    /// On `images` of the `up_to` that `total` steps are for, after `done` steps.
    pub fn new(images: u64, up_to: u64, total: u64, done: u64) -> Self {
        let share = u128::from(total) * u128::from(images.min(up_to));
        let belong = share.div_ceil(u128::from(up_to.max(1))) as u64;
        Self { now: belong.saturating_sub(done), remaining: total.saturating_sub(done) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_from_the_images_and_what_was_done() {
        let due = |images, done| Due::new(images, 1000, 40, done);
        assert_eq!(due(100, 0), Due { now: 4, remaining: 40 });
        assert_eq!(due(100, 4), Due { now: 0, remaining: 36 });
        assert_eq!(due(101, 4), Due { now: 1, remaining: 36 });
        // Cut short, it goes on.
        assert_eq!(due(100, 3), Due { now: 1, remaining: 37 });
        // No more than was planned for, however many come.
        assert_eq!(due(5000, 39), Due { now: 1, remaining: 1 });
        assert_eq!(due(5000, 40), Due { now: 0, remaining: 0 });
    }

    #[test]
    fn a_directory_that_changes_is_seen_to_change() {
        let directory = tempfile::tempdir().unwrap();
        let stamp = || Stamp::of(directory.path()).unwrap();
        let empty = stamp();
        std::fs::create_dir(directory.path().join("cat")).unwrap();
        assert_eq!(stamp(), empty);
        std::fs::write(directory.path().join("cat/1.png"), b"half").unwrap();
        let half = stamp();
        assert_ne!(half, empty);
        std::fs::write(directory.path().join("cat/1.png"), b"whole file").unwrap();
        assert_ne!(stamp(), half);
        assert!(Stamp::of(&directory.path().join("none")).is_err());
    }
}
