//! The ledger's file: an embedded ACID store (`redb`) of four tables, and its verification.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use serde::{Deserialize, Serialize};

use super::error::LedgerError;
use super::record::{Binding, Digest, FORMAT, Pins, Record};
use crate::quantity::Target;

/// `header` (bytes of [`Header`]), `head` (bytes of [`StoredHead`]); once a step was recorded under
/// one, `target` (bytes of the last [`Target`]); once the model was made, `pins` (bytes of
/// [`Pins`]).
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Records by their number from 0, as JSON: the chain hashes these bytes.
const RECORDS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// The bytes of the last record's update by its number, until it is confirmed.
const PENDING: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("pending");
/// Numbers of the records whose updates were given up. Made with the first one.
const ABANDONED: TableDefinition<'_, u64, ()> = TableDefinition::new("abandoned");

/// A ledger is small; the store's default of 1 GiB would be wasted on it.
const CACHE_BYTES: usize = 16 << 20;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    format: u32,
    binding: Binding,
    /// At random, so that no two ledgers begin with the same hash. Absent in those of earlier
    /// releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    id: Option<Digest>,
}

#[derive(Serialize, Deserialize, PartialEq)]
#[serde(deny_unknown_fields)]
struct StoredHead {
    records: u64,
    hash: Digest,
}

/// Everything a ledger's file says, verified.
pub(super) struct Contents {
    pub binding: Binding,
    pub records: Vec<Record>,
    /// Hash before the first record.
    pub genesis: Digest,
    pub hash: Digest,
    pub pending: Option<Vec<u8>>,
    pub target: Option<Target>,
    pub pins: Option<Pins>,
    /// Numbers of records.
    pub abandoned: BTreeSet<u64>,
}

pub(super) struct Store {
    database: Database,
    path: PathBuf,
}

impl Store {
    /// Makes an empty ledger that appears under `path` complete or not at all.
    pub fn create(path: &Path, binding: &Binding) -> Result<(), LedgerError> {
        if path.exists() {
            return Err(LedgerError::AlreadyExists { path: path.to_owned() });
        }
        let io = |error: std::io::Error| LedgerError::io(path, &error);
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let draft = path.with_file_name(name);
        if draft.exists() {
            fs::remove_file(&draft).map_err(io)?; // left by a crash
        }
        drop(private_file(&draft).map_err(io)?);
        let database = builder().create(&draft).map_err(|e| LedgerError::writing(path, e))?;
        let mut id = [0; 32];
        let random = SysRng.try_fill_bytes(&mut id);
        random.map_err(|error| LedgerError::unusable(path, error))?;
        let header = Header { format: FORMAT, binding: binding.clone(), id: Some(Digest(id)) };
        let header = to_json(path, &header)?;
        let head = to_json(path, &StoredHead { records: 0, hash: Digest::genesis(&header) })?;
        Self { database, path: path.to_owned() }.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            meta.insert("header", header.as_slice())?;
            meta.insert("head", head.as_slice())?;
            transaction.open_table(RECORDS)?;
            transaction.open_table(PENDING)?;
            Ok(())
        })?;
        // A link, unlike a rename, never replaces a ledger that appeared meanwhile.
        fs::hard_link(&draft, path).map_err(io)?;
        fs::remove_file(&draft).map_err(io)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()).map_err(io)
    }

    /// Opens a ledger and verifies every page and every record.
    pub fn open(path: &Path) -> Result<(Self, Contents), LedgerError> {
        let database = builder().open(path).map_err(|e| LedgerError::reading(path, e))?;
        let store = Self { database, path: path.to_owned() };
        let contents = store.read()?;
        Ok((store, contents))
    }

    /// Durably appends a record with its update's bytes and the target it keeps to, if any, in one
    /// transaction.
    pub fn append(
        &self,
        number: u64,
        record: &Record,
        update: &[u8],
        target: Option<Target>,
    ) -> Result<Digest, LedgerError> {
        let bytes = to_json(&self.path, record)?;
        let target = target.map(|target| to_json(&self.path, &target)).transpose()?;
        let hash = record.previous.link(&bytes);
        let expected = to_json(&self.path, &StoredHead { records: number, hash: record.previous })?;
        let head = to_json(&self.path, &StoredHead { records: number + 1, hash })?;
        self.write(|transaction| {
            let mut meta = transaction.open_table(META)?;
            // An earlier write that failed half-way may have been made durable all the same.
            if meta.get("head")?.is_none_or(|stored| stored.value() != expected.as_slice()) {
                return Err(redb::Error::Corrupted("head moved; open the ledger again".into()));
            }
            meta.insert("head", head.as_slice())?;
            if let Some(target) = &target {
                meta.insert("target", target.as_slice())?;
            }
            transaction.open_table(RECORDS)?.insert(number, bytes.as_slice())?;
            transaction.open_table(PENDING)?.insert(number, update)?;
            Ok(())
        })?;
        Ok(hash)
    }

    /// Durably notes which model the ledger is of.
    pub fn pin(&self, pins: &Pins) -> Result<(), LedgerError> {
        let bytes = to_json(&self.path, pins)?;
        self.write(|transaction| {
            transaction.open_table(META)?.insert("pins", bytes.as_slice())?;
            Ok(())
        })
    }

    /// Durably forgets the bytes of a pending update; its record stays.
    pub fn clear_pending(&self, number: u64) -> Result<(), LedgerError> {
        self.write(|transaction| {
            transaction.open_table(PENDING)?.remove(number)?;
            Ok(())
        })
    }

    /// As [`Self::clear_pending`], and remembers that the update was given up.
    pub fn abandon_pending(&self, number: u64) -> Result<(), LedgerError> {
        self.write(|transaction| {
            transaction.open_table(PENDING)?.remove(number)?;
            transaction.open_table(ABANDONED)?.insert(number, ())?;
            Ok(())
        })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    fn write(
        &self,
        change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
    ) -> Result<(), LedgerError> {
        let attempt = || -> Result<(), redb::Error> {
            let mut transaction = self.database.begin_write()?;
            // Durable at once; and in two phases, so that a repair never falls back behind a
            // commit.
            transaction.set_durability(redb::Durability::Immediate)?;
            transaction.set_two_phase_commit(true);
            change(&transaction)?;
            Ok(transaction.commit()?)
        };
        attempt().map_err(|error| LedgerError::writing(&self.path, error))
    }

    fn read(&self) -> Result<Contents, LedgerError> {
        let path = &self.path;
        let failed = |error: redb::Error| LedgerError::reading(path, error);
        let transaction = self.database.begin_read().map_err(|e| failed(e.into()))?;
        let open = |error: TableError| failed(error.into());
        let meta = transaction.open_table(META).map_err(open)?;
        let records = transaction.open_table(RECORDS).map_err(open)?;
        let pending = transaction.open_table(PENDING).map_err(open)?;
        let optional = |name: &str| -> Result<Option<Vec<u8>>, LedgerError> {
            let value = meta.get(name).map_err(|e| failed(e.into()))?;
            Ok(value.map(|value| value.value().to_vec()))
        };
        let field = |name: &str| -> Result<Vec<u8>, LedgerError> {
            optional(name)?.ok_or_else(|| LedgerError::damaged(path, format!("no {name}")))
        };
        let header_bytes = field("header")?;
        let header: Header = from_json(path, &header_bytes)?;
        if header.format != FORMAT {
            let cause = format!("format {}, this program reads {FORMAT}", header.format);
            return Err(LedgerError::damaged(path, cause));
        }
        let head: StoredHead = from_json(path, &field("head")?)?;

        let genesis = Digest::genesis(&header_bytes);
        let mut hash = genesis;
        let mut chain = Vec::new();
        for row in records.iter().map_err(|e| failed(e.into()))? {
            let (number, bytes) = row.map_err(|e| failed(e.into()))?;
            let record: Record = from_json(path, bytes.value())?;
            if number.value() != chain.len() as u64 || record.previous != hash {
                let cause = format!("record {} does not follow the one before", number.value());
                return Err(LedgerError::damaged(path, cause));
            }
            hash = hash.link(bytes.value());
            chain.push(record);
        }
        if head != (StoredHead { records: chain.len() as u64, hash }) {
            let cause = format!("{} records, {} were written", chain.len(), head.records);
            return Err(LedgerError::damaged(path, cause));
        }

        let mut waiting = None;
        for row in pending.iter().map_err(|e| failed(e.into()))? {
            let (number, bytes) = row.map_err(|e| failed(e.into()))?;
            let last = chain.last().filter(|_| number.value() + 1 == chain.len() as u64);
            if last.is_none_or(|record| record.update != Digest::of(bytes.value())) {
                return Err(LedgerError::damaged(
                    path,
                    "the pending update is not the last record's",
                ));
            }
            waiting = Some(bytes.value().to_vec());
        }

        let target = optional("target")?.map(|bytes| read_target(path, &bytes)).transpose()?;
        let pins = optional("pins")?.map(|bytes| from_json(path, &bytes)).transpose()?;
        let mut abandoned = BTreeSet::new();
        match transaction.open_table(ABANDONED) {
            Ok(table) => {
                for row in table.iter().map_err(|e| failed(e.into()))? {
                    abandoned.insert(row.map_err(|e| failed(e.into()))?.0.value());
                }
            }
            Err(TableError::TableDoesNotExist(_)) => {}
            Err(error) => return Err(open(error)),
        }
        if let Some(number) = abandoned.last().filter(|&&number| number >= head.records) {
            let cause = format!("record {number} is abandoned, there are {}", head.records);
            return Err(LedgerError::damaged(path, cause));
        }
        let binding = header.binding;
        let (records, pending) = (chain, waiting);
        Ok(Contents { binding, records, genesis, hash, pending, target, pins, abandoned })
    }
}

/// Its range is checked here: reading does not.
fn read_target(path: &Path, bytes: &[u8]) -> Result<Target, LedgerError> {
    let target: Target = from_json(path, bytes)?;
    Target::new(target.epsilon(), target.delta()).map_err(|e| LedgerError::damaged(path, e))
}

pub(crate) fn builder() -> redb::Builder {
    let mut builder = Database::builder();
    // A plain open trusts pages that were altered after they were written.
    builder.set_cache_size(CACHE_BYTES).set_check_integrity_on_open(true);
    builder
}

/// A new file that only its owner can read.
pub(crate) fn private_file(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

pub(crate) fn to_json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, LedgerError> {
    serde_json::to_vec(value).map_err(|error| LedgerError::unusable(path, error))
}

pub(crate) fn from_json<T: for<'a> Deserialize<'a>>(
    path: &Path,
    bytes: &[u8],
) -> Result<T, LedgerError> {
    serde_json::from_slice(bytes).map_err(|error| LedgerError::damaged(path, error))
}
