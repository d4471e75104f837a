//! One block: a SQLite file, opened by every process that takes tickets from it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rayon::prelude::*;
use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::access::{Access, block_name};
use crate::edition::{BLOCK_TICKETS, Edition, Owner};
use crate::error::TicketStoreError;
use crate::seal::{Nonce, Record};
use crate::states::States;
use crate::ticket::{Place, StoredTicket};

/// How long to wait for other processes; a repair of a whole block is the longest thing they do.
const PATIENCE: Duration = Duration::from_secs(10);
/// The layout of blocks.
pub(crate) const FORMAT: u32 = 1;

/// What a block says of itself in the clear. Its SHA-256 goes into every seal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub format: u32,
    /// The name of the file, so that a copy gives no ticket a second time.
    pub block: String,
    pub owner: Owner,
    pub edition: Edition,
    /// Tickets when the block was made.
    pub tickets: u32,
    /// Tells which key it is sealed under.
    pub key: String,
}

/// What a block says, verified, but for its tickets.
pub(crate) struct Contents {
    pub header: Header,
    pub digest: [u8; 32],
    pub states: States,
}

pub(crate) struct Block {
    pub id: u128,
    path: PathBuf,
    connection: Connection,
}

impl Block {
    /// Opens and verifies a block.
    pub fn open(access: &Access, id: u128) -> Result<Self, TicketStoreError> {
        let path = access.block_path(id);
        let connection = connect(&path)?;
        let block = Self { id, path, connection };
        block.contents(access)?;
        Ok(block)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn contents(&self, access: &Access) -> Result<Contents, TicketStoreError> {
        contents(&self.connection, &self.path, access)
    }

    /// Durably changes the states, unless `change` leaves them as they are. Other processes wait
    /// meanwhile.
    pub fn change<T, E: From<TicketStoreError>>(
        &mut self,
        access: &Access,
        nonce: Nonce,
        change: impl FnOnce(&Self, &Contents, &mut States) -> Result<T, E>,
    ) -> Result<T, E> {
        let path = &self.path;
        let failed = |error: rusqlite::Error| TicketStoreError::sqlite(path, &error);
        // Not a borrow for the whole transaction: `change` reads the block's tickets. Rolls back
        // when dropped.
        let behaviour = TransactionBehavior::Immediate;
        let transaction =
            rusqlite::Transaction::new_unchecked(&self.connection, behaviour).map_err(failed)?;
        let contents = contents(&transaction, path, access)?;
        let mut states = contents.states.clone();
        let result = change(self, &contents, &mut states)?;
        if states == contents.states {
            return Ok(result);
        }
        let bytes = states.to_bytes();
        let sealed = access.sealer.seal(&contents.digest, Record::States, nonce, &bytes);
        let changed = transaction
            .execute("UPDATE states SET sealed = ?1 WHERE id = 0", [sealed])
            .map_err(failed)?;
        if changed != 1 {
            return Err(TicketStoreError::damaged(path, "its states are gone").into());
        }
        transaction.commit().map_err(failed)?;
        Ok(result)
    }

    /// Reads tickets. `None` for one that is damaged.
    pub fn read(
        &self,
        access: &Access,
        contents: &Contents,
        numbers: &[u32],
    ) -> Vec<(u32, Option<StoredTicket>)> {
        let sealed: Vec<(u32, Option<Vec<u8>>)> =
            numbers.iter().map(|&number| (number, self.sealed(number))).collect();
        let (edition, block) = (&contents.header.edition, self.id);
        let unseal = |(number, sealed): (u32, Option<Vec<u8>>)| {
            let ticket = sealed.and_then(|sealed| {
                let record = Record::Ticket(number);
                let bytes = access.sealer.unseal(&contents.digest, record, &sealed)?;
                let place = Place { block, number };
                (bytes.len() == edition.ticket_bytes())
                    .then(|| StoredTicket::from_bytes(place, edition, &bytes))
            });
            (number, ticket)
        };
        sealed.into_par_iter().map(unseal).collect()
    }

    fn sealed(&self, number: u32) -> Option<Vec<u8>> {
        let select = "SELECT sealed FROM tickets WHERE number = ?1";
        let mut statement = self.connection.prepare_cached(select).ok()?;
        let found = statement.query_row([number], |row| row.get(0)).optional();
        found
            .inspect_err(|error| {
                let (path, error) = (self.path.display(), error.to_string());
                tracing::warn!(%path, number, error, "a stored ticket cannot be read");
            })
            .ok()
            .flatten()
    }
}

/// Opens a database that is there, with the settings that every process uses.
fn connect(path: &Path) -> Result<Connection, TicketStoreError> {
    let failed = |error: rusqlite::Error| TicketStoreError::sqlite(path, &error);
    // A connection is used by one thread at a time.
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(PATIENCE).map_err(failed)?;
    let settings = "PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = FULL; PRAGMA fullfsync = ON; \
         PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;";
    connection.execute_batch(settings).map_err(failed)?;
    Ok(connection)
}

fn contents(
    connection: &Connection,
    path: &Path,
    access: &Access,
) -> Result<Contents, TicketStoreError> {
    let failed = |error: rusqlite::Error| TicketStoreError::sqlite(path, &error);
    let damaged = |cause: &str| TicketStoreError::damaged(path, cause);
    let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' \
         AND name IN ('header', 'states', 'tickets')";
    let tables: u32 = connection.query_row(tables, [], |row| row.get(0)).map_err(failed)?;
    if tables != 3 {
        return Err(damaged("it has not the tables of a block"));
    }
    let select =
        "SELECT header.json, states.sealed FROM header JOIN states USING (id) WHERE id = 0";
    let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?));
    let (json, sealed): (Vec<u8>, Vec<u8>) =
        connection.query_row(select, [], row).map_err(failed)?;
    let header: Header =
        serde_json::from_slice(&json).map_err(|error| TicketStoreError::damaged(path, error))?;
    header.check(path, access)?;
    let digest = Sha256::digest(&json).into();
    let states = access.sealer.unseal(&digest, Record::States, &sealed);
    let states = states.ok_or_else(|| damaged("its states are not as they were sealed"))?;
    let states = States::from_bytes(&states, header.tickets as usize);
    let states = states.ok_or_else(|| damaged("its states are of another form"))?;
    Ok(Contents { header, digest, states })
}

impl Header {
    /// Whether the block belongs into the store.
    fn check(&self, path: &Path, access: &Access) -> Result<(), TicketStoreError> {
        let (owner, own) = (&self.owner, &access.owner);
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let fields: [(&'static str, &str, &str); 5] = [
            ("tenant", &owner.tenant, &own.tenant),
            ("model", &owner.model, &own.model),
            ("key", &owner.key_id, &own.key_id),
            ("a secret key with check", &self.key, &access.sealer.check),
            ("block", &self.block, &name),
        ];
        if let Some(&(field, got, expected)) = fields.iter().find(|(_, got, own)| got != own) {
            let (got, expected) = (got.to_owned(), expected.to_owned());
            return Err(TicketStoreError::Foreign { path: path.to_owned(), field, got, expected });
        }
        if self.format != FORMAT {
            let (got, expected) = (self.format.to_string(), FORMAT.to_string());
            let (path, field) = (path.to_owned(), "format");
            return Err(TicketStoreError::Foreign { path, field, got, expected });
        }
        if !(1..=BLOCK_TICKETS).contains(&(self.tickets as usize)) {
            let cause = format!("it says it has {} tickets", self.tickets);
            return Err(TicketStoreError::damaged(path, cause));
        }
        self.edition.check().map_err(|error| TicketStoreError::damaged(path, error))
    }

    pub fn new(access: &Access, id: u128, edition: &Edition, tickets: usize) -> Self {
        Self {
            format: FORMAT,
            block: block_name(id),
            owner: access.owner.clone(),
            edition: edition.clone(),
            tickets: tickets as u32,
            key: access.sealer.check.clone(),
        }
    }
}
