//! Tickets of recognition that outlive the process: encrypted at rest, safe against crashes, each
//! used once.
//!
//! A ticket is the seed of one image's masks r and the server's answers u = W r + b (see
//! `sphinx_client::recognition`). Using one for two images would show the server their difference.
//! The rule is therefore: **a ticket is marked as taken durably before it leaves the store**, and
//! nothing takes a mark back but the process that holds the ticket unused. Whatever else fails, at
//! worst tickets are lost.
//!
//! # Layout
//!
//! A [`TicketStore`] is a directory for one tenant, model and key. A block (up to 2048 tickets,
//! about 36 kB each for `sphinx-mnist`) is a file `<id>.tickets`, a SQLite database of three
//! tables:
//!
//! | table | content |
//! |---|---|
//! | `header` | whose tickets these are, in the clear: owner, model version, shapes, block id |
//! | `states` | what became of every ticket, one sealed record |
//! | `tickets` | seed and u of every ticket, bit-packed, each sealed |
//!
//! Sealed means XChaCha20-Poly1305 under a key of the caller's, a fresh random nonce each time, and
//! as associated data the SHA-256 of the header, which record it is and the ticket's number. No
//! record can be altered or take the place of another one of its block or of another block; an
//! earlier `states` record of the same block can, see below. A file under another name than its
//! block's is refused, so a copied file gives no ticket twice.
//!
//! # Why SQLite, one file per block, and a rollback journal
//!
//! * Several processes share a store. SQLite locks a file for the length of a transaction; redb,
//!   which the ledgers use, locks it for as long as it is open.
//! * SQLite reports damage as an error. One file per block keeps damage to a block; used up blocks
//!   are deleted, which gives their space back without compaction.
//! * With a rollback journal (`TRUNCATE`, `synchronous = FULL`) a commit is complete in the main
//!   file, where its seal protects it. With a write-ahead log a damaged log would be taken for its
//!   undamaged beginning: marks made since would silently be gone.
//!
//! # Costs
//!
//! Taking tickets costs one commit (about four `fsync`) however many are taken, plus about 50 µs
//! per ticket to read and unseal. Who needs tickets one by one takes a [lease](TicketStore::lease)
//! of some in advance. Tickets of a lease that its process neither [used](TicketStore::spent) nor
//! [gave back](TicketStore::release) before it was killed are lost: nobody can know whether their
//! images were sent.
//!
//! # What it does not protect against
//!
//! Copies: a store put back from a backup or a snapshot of a machine, or only the `states` of one
//! of its blocks, has tickets that were used since; and of two machines with the same store (a home
//! directory copied by rsync or baked into an image) both use its tickets. Clear the store after
//! such a thing, on all machines but one. A process that forks has such a copy, too: its child is
//! refused, and opens the store itself. Network file systems whose locks do not work. Somebody with
//! the key: see the README on the key file.

mod access;
mod block;
mod draft;
mod edition;
mod error;
mod holder;
mod repair;
mod seal;
mod states;
mod status;
mod store;
mod take;
mod ticket;

pub use edition::{BLOCK_TICKETS, Edition, Owner, StageShape};
pub use error::TicketStoreError;
pub use seal::StoreKey;
pub use status::{BlockStatus, Cleared, StoreStatus, clear};
pub use store::TicketStore;
pub use ticket::{Place, StoredTicket, TicketParts};
