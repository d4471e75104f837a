//! What goes over the wire.

use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;

/// Bytes of messages sent and received.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Bytes sent.
    pub up: u64,
    /// Bytes received.
    pub down: u64,
}

/// Bytes of messages, counted by all the calls of a recogniser.
#[derive(Debug, Default)]
pub(crate) struct Counter {
    up: AtomicU64,
    down: AtomicU64,
}

impl Counter {
    pub(crate) fn sent(&self, message: &impl Message) {
        self.up.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn received(&self, message: &impl Message) {
        self.down.fetch_add(message.encoded_len() as u64, Ordering::Relaxed);
    }

    pub(crate) fn total(&self) -> Traffic {
        Traffic { up: self.up.load(Ordering::Relaxed), down: self.down.load(Ordering::Relaxed) }
    }
}
