//! What every operation on a store's files needs to know.

use std::path::{Path, PathBuf};

use crate::edition::Owner;
use crate::holder::{HolderId, is_alive};
use crate::seal::Sealer;

const BLOCK: &str = "tickets";
const DAMAGED: &str = "damaged";

/// The directory, its owner and its key.
pub(crate) struct Access {
    pub directory: PathBuf,
    pub owner: Owner,
    pub sealer: Sealer,
}

impl Access {
    pub fn block_path(&self, id: u128) -> PathBuf {
        self.directory.join(block_name(id)).with_extension(BLOCK)
    }

    pub fn is_alive(&self, holder: &HolderId) -> bool {
        is_alive(&self.directory, holder)
    }
}

pub(crate) fn block_name(id: u128) -> String {
    format!("{id:032x}")
}

/// Where a block that is set aside goes.
pub(crate) fn damaged_path(block: &Path) -> PathBuf {
    block.with_extension(DAMAGED)
}

/// The file of a database's rollback journal.
pub(crate) fn journal_path(block: &Path) -> PathBuf {
    let mut name = block.as_os_str().to_owned();
    name.push("-journal");
    name.into()
}

/// A file of the directory by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kind {
    Block(u128),
    Journal(u128),
    Damaged,
    Draft(HolderId),
    Holder(HolderId),
    /// A holder that is not locked yet, or that a killed process left.
    NewHolder,
    Other,
}

impl Kind {
    pub fn of(path: &Path) -> Self {
        Self::parse(path).unwrap_or(Self::Other)
    }

    fn parse(path: &Path) -> Option<Self> {
        let (stem, extension) = path.file_name()?.to_str()?.split_once('.')?;
        let block = || u128::from_str_radix(stem, 16).ok().filter(|id| block_name(*id) == stem);
        let id = |text: &str| HolderId::try_from(hex::decode(text).ok()?).ok();
        match extension.split_once('-').unwrap_or((extension, "")) {
            (BLOCK, "") => block().map(Self::Block),
            (BLOCK, "journal") => block().map(Self::Journal),
            (DAMAGED, "" | "journal") => Some(Self::Damaged),
            ("holder", "") => id(stem).map(Self::Holder),
            ("holder", "new") => id(stem).map(|_| Self::NewHolder),
            ("draft", holder) => {
                let holder = holder.split_once('-').map_or(holder, |(holder, _)| holder);
                id(holder).map(Self::Draft)
            }
            _ => None,
        }
    }
}
