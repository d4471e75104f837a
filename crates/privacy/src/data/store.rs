//! The file of the ledger of data sets: `redb` tables, all of which are in memory while it is open.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::path::{Path, PathBuf};

use rand::CryptoRng;
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use zeroize::Zeroizing;

use super::record::{DataSet, Training};
use super::units::Units;
use crate::ledger::LedgerError;
use crate::ledger::store::{builder, from_json, private_file, to_json};

/// `format` ([`FORMAT`]), `secret` (32 bytes).
const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("meta");
/// Lists of units by number, as [`Units::to_bytes`]. Never changed.
const LISTS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("lists");
/// [`DataSet`] by number, as JSON.
const SETS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("sets");
/// [`Training`] by number, as JSON, oldest first.
const TRAININGS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("trainings");

/// Layout of the tables; others are refused.
const FORMAT: &[u8] = b"sphinx data ledger 1";

pub(super) struct Store {
    database: Database,
    path: PathBuf,
    /// Held against other processes as long as the ledger is open.
    _lock: File,
}

/// Everything that the file says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Contents {
    pub lists: BTreeMap<u64, Units>,
    pub sets: BTreeMap<u64, DataSet>,
    pub trainings: BTreeMap<u64, Training>,
}

impl Store {
    /// Waits until no other process has the ledger open.
    pub fn lock(path: &Path) -> Result<File, LedgerError> {
        let io = |error: std::io::Error| LedgerError::io(path, &error);
        if let Some(folder) = path.parent() {
            let mut builder = fs::DirBuilder::new();
            builder.recursive(true);
            #[cfg(unix)]
            std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
            builder.create(folder).map_err(io)?;
        }
        let lock = path.with_extension("lock");
        let lock = OpenOptions::new().write(true).create(true).truncate(false).open(lock);
        let lock = lock.map_err(io)?;
        lock.lock().map_err(io)?;
        Ok(lock)
    }

    /// Makes a ledger with a new secret, which appears complete or not at all.
    pub fn create(
        path: &Path,
        rng: &mut impl CryptoRng,
        contents: &Contents,
    ) -> Result<(), LedgerError> {
        let io = |error: std::io::Error| LedgerError::io(path, &error);
        let draft = path.with_extension("new");
        if draft.exists() {
            fs::remove_file(&draft).map_err(io)?; // left by a crash
        }
        drop(private_file(&draft).map_err(io)?);
        let database = builder().create(&draft).map_err(|e| LedgerError::writing(path, e))?;
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut());
        write(&database, path, |transaction| {
            let mut meta = transaction.open_table(META)?;
            meta.insert("format", FORMAT)?;
            meta.insert("secret", secret.as_slice())?;
            transaction.open_table(LISTS)?;
            Ok(())
        })?;
        write_changes(&database, path, &Contents::default(), contents)?;
        drop(database);
        fs::rename(&draft, path).map_err(io)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new("."))).and_then(|f| f.sync_all()).map_err(io)
    }

    /// Opens the ledger and verifies every page.
    pub fn open(
        path: &Path,
        lock: File,
    ) -> Result<(Self, Zeroizing<[u8; 32]>, Contents), LedgerError> {
        let database = builder().open(path).map_err(|e| LedgerError::reading(path, e))?;
        let store = Self { database, path: path.to_owned(), _lock: lock };
        let (secret, contents) = store.read()?;
        Ok((store, secret, contents))
    }

    /// Makes durable what has changed, all of it or nothing.
    pub fn save(&self, before: &Contents, after: &Contents) -> Result<(), LedgerError> {
        if before == after {
            return Ok(());
        }
        write_changes(&self.database, &self.path, before, after)
    }

    fn read(&self) -> Result<(Zeroizing<[u8; 32]>, Contents), LedgerError> {
        let path = &self.path;
        let read = || -> Result<_, redb::Error> {
            let transaction = self.database.begin_read()?;
            let meta = transaction.open_table(META)?;
            let value = |name| -> Result<Option<Zeroizing<Vec<u8>>>, redb::Error> {
                Ok(meta.get(name)?.map(|value| Zeroizing::new(value.value().to_vec())))
            };
            let rows = |table| -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
                let table: redb::ReadOnlyTable<u64, &[u8]> = transaction.open_table(table)?;
                let row = |row: Result<_, redb::StorageError>| {
                    let (number, bytes): (
                        redb::AccessGuard<'_, u64>,
                        redb::AccessGuard<'_, &[u8]>,
                    ) = row?;
                    Ok((number.value(), bytes.value().to_vec()))
                };
                table.iter()?.map(row).collect()
            };
            Ok((value("format")?, value("secret")?, [rows(LISTS)?, rows(SETS)?, rows(TRAININGS)?]))
        };
        let (format, secret, [lists, sets, trainings]) =
            read().map_err(|error| LedgerError::reading(path, error))?;
        if format.is_none_or(|format| format.as_slice() != FORMAT) {
            return Err(LedgerError::damaged(path, "another format than this program reads"));
        }
        let secret = secret.and_then(|secret| secret.as_slice().try_into().ok());
        let secret = secret.ok_or_else(|| LedgerError::damaged(path, "no secret"))?;
        let list = |(number, bytes): (u64, Vec<u8>)| {
            let units = Units::from_bytes(&bytes);
            let units = units.ok_or_else(|| LedgerError::damaged(path, "a list of no units"))?;
            Ok((number, units))
        };
        let contents = Contents {
            lists: lists.into_iter().map(list).collect::<Result<_, LedgerError>>()?,
            sets: parsed(path, sets)?,
            trainings: parsed(path, trainings)?,
        };
        let named = contents.sets.values().flat_map(|set| [Some(set.list), set.public]);
        let mut named =
            named.chain(contents.trainings.values().map(|training| training.list)).flatten();
        if named.any(|list| !contents.lists.contains_key(&list)) {
            return Err(LedgerError::damaged(path, "a list of units is missing"));
        }
        Ok((Zeroizing::new(secret), contents))
    }
}

fn parsed<T: for<'a> serde::Deserialize<'a>>(
    path: &Path,
    rows: Vec<(u64, Vec<u8>)>,
) -> Result<BTreeMap<u64, T>, LedgerError> {
    rows.into_iter().map(|(number, bytes)| Ok((number, from_json(path, &bytes)?))).collect()
}

fn write_changes(
    database: &Database,
    path: &Path,
    before: &Contents,
    after: &Contents,
) -> Result<(), LedgerError> {
    let lists = after.lists.iter().filter(|(number, _)| !before.lists.contains_key(number));
    let lists: Vec<(u64, Vec<u8>)> =
        lists.map(|(&number, units)| (number, units.to_bytes())).collect();
    let sets = changed(path, &before.sets, &after.sets)?;
    let trainings = changed(path, &before.trainings, &after.trainings)?;
    write(database, path, |transaction| {
        for (table, rows) in [(LISTS, &lists), (SETS, &sets), (TRAININGS, &trainings)] {
            let mut table = transaction.open_table(table)?;
            for (number, bytes) in rows {
                table.insert(number, bytes.as_slice())?;
            }
        }
        Ok(())
    })
}

fn changed<T: PartialEq + serde::Serialize>(
    path: &Path,
    before: &BTreeMap<u64, T>,
    after: &BTreeMap<u64, T>,
) -> Result<Vec<(u64, Vec<u8>)>, LedgerError> {
    let changed = after.iter().filter(|(number, row)| before.get(number) != Some(row));
    changed.map(|(&number, row)| Ok((number, to_json(path, row)?))).collect()
}

fn write(
    database: &Database,
    path: &Path,
    change: impl FnOnce(&redb::WriteTransaction) -> Result<(), redb::Error>,
) -> Result<(), LedgerError> {
    let attempt = || -> Result<(), redb::Error> {
        let mut transaction = database.begin_write()?;
        // As the ledger of a model: durable at once, in two phases.
        transaction.set_durability(redb::Durability::Immediate)?;
        transaction.set_two_phase_commit(true);
        change(&transaction)?;
        Ok(transaction.commit()?)
    };
    attempt().map_err(|error| LedgerError::writing(path, error))
}
