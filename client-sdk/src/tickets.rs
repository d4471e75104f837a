//! Tickets that last, and that refill themselves.
//!
//! [`Recogniser::ticket_store`] opens the store of a model's tickets on this machine
//! ([`sphinx_tickets::TicketStore`] says what it guarantees), sealed under a key derived from the
//! user's. Either take tickets from it one use at a time ([`Recogniser::take_stored`], one durable
//! commit each time), or let a [`TicketSupply`] do it: it takes them in advance by the lease,
//! prepares the next block in the background before they run out, and lets callers wait rather than
//! fail when they do.
//!
//! # When the model moves on
//!
//! Tickets are of one version. [`Recogniser::repair_stored`] brings a store's unused tickets to a
//! newer one; [`TicketSupply::refresh`] does that for a supply, which also follows the model by
//! itself.

mod carry;
mod metrics;
mod options;
mod shared;
mod stored;
mod supply;
mod switch;
mod worker;

pub use metrics::SupplyMetrics;
pub use options::SupplyOptions;
pub use sphinx_tickets::{
    BlockStatus, Cleared, Edition, Owner, StoreKey, StoreStatus, StoredTicket, TicketStore,
    TicketStoreError, clear,
};
pub use stored::STORE_PURPOSE;
pub use supply::TicketSupply;

#[cfg(doc)]
use crate::recognition::Recogniser;
