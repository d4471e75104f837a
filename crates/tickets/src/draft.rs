//! Writing a new block: under another name until it is complete and durable.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use rand::Rng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use rusqlite::{Connection, OpenFlags};
use sha2::{Digest, Sha256};

use crate::access::{Access, block_name, journal_path};
use crate::block::Header;
use crate::edition::{BLOCK_TICKETS, Edition};
use crate::error::TicketStoreError;
use crate::holder::{HolderId, private_file};
use crate::seal::{Nonce, Record, nonce};
use crate::states::States;
use crate::ticket::TicketParts;

/// Tickets that are sealed together before they are written.
const CHUNK: usize = 256;

/// A complete and durable block that nobody sees yet; removed when dropped.
pub(crate) struct Draft {
    id: u128,
    path: PathBuf,
}

impl Draft {
    /// Writes a block whose tickets are all unused.
    pub fn write(
        access: &Access,
        rng: &mut ChaCha20Rng,
        holder: HolderId,
        edition: &Edition,
        tickets: &[TicketParts<'_>],
    ) -> Result<Self, TicketStoreError> {
        let (got, limit) = (tickets.len(), BLOCK_TICKETS);
        if !(1..=limit).contains(&got) {
            return Err(TicketStoreError::Count { got, limit });
        }
        edition.check()?;
        tickets.iter().enumerate().try_for_each(|(index, parts)| parts.check(index, edition))?;
        let mut id = [0; 16];
        rng.fill_bytes(&mut id);
        let id = u128::from_le_bytes(id);
        let extension = format!("draft-{}", hex::encode(holder));
        let path = access.directory.join(block_name(id)).with_extension(extension);
        drop(private_file(&path).map_err(|error| TicketStoreError::io(&path, &error))?);
        let draft = Self { id, path };
        draft.fill(access, rng, edition, tickets)?;
        // After the database is closed: closing any handle of a file gives up SQLite's locks on it.
        let synced = File::open(&draft.path).and_then(|file| file.sync_all());
        synced.map_err(|error| TicketStoreError::io(&draft.path, &error))?;
        Ok(draft)
    }

    /// Lets the block appear, durably.
    pub fn publish(self, access: &Access) -> Result<(), TicketStoreError> {
        let path = access.block_path(self.id);
        let renamed = fs::rename(&self.path, &path);
        renamed
            .and_then(|()| sync_directory(&access.directory))
            .map_err(|error| TicketStoreError::io(&path, &error))
    }

    fn fill(
        &self,
        access: &Access,
        rng: &mut ChaCha20Rng,
        edition: &Edition,
        tickets: &[TicketParts<'_>],
    ) -> Result<(), TicketStoreError> {
        let path = &self.path;
        let failed = |error: rusqlite::Error| TicketStoreError::sqlite(path, &error);
        let too_long = || TicketStoreError::damaged(path, "a record is too long to be sealed");
        let header = Header::new(access, self.id, edition, tickets.len());
        let json =
            serde_json::to_vec(&header).map_err(|error| TicketStoreError::damaged(path, error))?;
        let digest: [u8; 32] = Sha256::digest(&json).into();
        let states = States::new(tickets.len()).to_bytes();
        let states = access.sealer.seal(&digest, Record::States, nonce(rng), &states);
        let states = states.ok_or_else(too_long)?;

        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        // A draft that is cut short is thrown away.
        let settings = "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE; \
             CREATE TABLE header (id INTEGER PRIMARY KEY CHECK (id = 0), json BLOB NOT NULL); \
             CREATE TABLE states (id INTEGER PRIMARY KEY CHECK (id = 0), sealed BLOB NOT NULL); \
             CREATE TABLE tickets (number INTEGER PRIMARY KEY, sealed BLOB NOT NULL);";
        connection.execute_batch(settings).map_err(failed)?;
        let transaction = connection.transaction().map_err(failed)?;
        transaction.execute("INSERT INTO header VALUES (0, ?1)", [&json]).map_err(failed)?;
        transaction.execute("INSERT INTO states VALUES (0, ?1)", [&states]).map_err(failed)?;
        let numbered: Vec<(u32, Nonce, &TicketParts<'_>)> =
            (0..).zip(tickets).map(|(number, parts)| (number, nonce(rng), parts)).collect();
        let mut insert =
            transaction.prepare("INSERT INTO tickets VALUES (?1, ?2)").map_err(failed)?;
        for chunk in numbered.chunks(CHUNK) {
            let seal = |&(number, nonce, parts): &(u32, Nonce, &TicketParts<'_>)| {
                let bytes = parts.to_bytes(edition);
                (number, access.sealer.seal(&digest, Record::Ticket(number), nonce, &bytes))
            };
            let sealed: Vec<(u32, Option<Vec<u8>>)> = chunk.par_iter().map(seal).collect();
            for (number, sealed) in sealed {
                let sealed = sealed.ok_or_else(too_long)?;
                insert.execute((number, sealed)).map_err(failed)?;
            }
        }
        drop(insert);
        transaction.commit().map_err(failed)?;
        connection.close().map_err(|(_, error)| failed(error))
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // Gone if it was published.
        let _ = fs::remove_file(&self.path);
        let _ = fs::remove_file(journal_path(&self.path));
    }
}

/// Makes names as durable as contents.
pub(crate) fn sync_directory(directory: &Path) -> std::io::Result<()> {
    File::open(directory)?.sync_all()
}
