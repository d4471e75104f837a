//! One line of a log.

use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::error::Fault;

/// What stands before a line's own hash, which is the last of it.
const HASH_FIELD: &str = ",\"hash\":\"";
const HASH_DIGITS: usize = 64;
const END: &str = "\"}";
/// What the first line of a chain names as the line before.
const NONE: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Longest line, bytes: that of an event whose fields are all cut and all escaped stays below.
pub(crate) const MAX_LINE: usize = 16 << 10;
/// Most bytes of a field. Names are shorter; what a caller makes up, as the path of an RPC that
/// does not exist, need not be.
const MAX_FIELD: usize = 256;

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// The service opened the log.
    Opened,
    /// The service found a line that a crash had cut, and took it away; nobody was answered for it.
    Repaired,
    /// A request is about to act on an object.
    Begins,
    /// A request has ended, with the status that its caller was sent.
    Ended,
    /// A credential was refused what it asked for.
    Denied,
}

/// What a service says of one thing that happened. Empty fields are left out of the line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// What happened.
    pub what: What,
    /// The service.
    pub service: String,
    /// Id of the request, as in the service's log and in its answer.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub request: String,
    /// The RPC by its full name.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rpc: String,
    /// Whose objects are meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub tenant: String,
    /// Id of the credential; empty where nobody is asked for one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub credential: String,
    /// The object, as `model digits`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub object: String,
    /// The status, or what else there is to say.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub outcome: String,
}

/// A place in a chain: a line's number and its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Link {
    /// Number of the next line.
    pub(crate) next: u64,
    /// Hash of the line before it, in hexadecimal.
    pub(crate) hash: String,
}

/// A line without its own hash, in the order of its fields.
#[derive(Serialize, Deserialize)]
struct Line {
    number: u64,
    unix_ms: u64,
    #[serde(flatten)]
    event: Event,
    previous: String,
}

/// A line that is what it was written as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) number: u64,
    pub(crate) previous: String,
    pub(crate) hash: String,
}

impl Link {
    /// Where every chain begins.
    pub(crate) fn first() -> Self {
        Self { next: 0, hash: NONE.to_owned() }
    }
}

impl Event {
    /// With every field cut to what a line has room for.
    fn bounded(mut self) -> Self {
        let Self { what: _, service, request, rpc, tenant, credential, object, outcome } =
            &mut self;
        for field in [service, request, rpc, tenant, credential, object, outcome] {
            field.truncate(field.floor_char_boundary(MAX_FIELD));
        }
        self
    }

    /// Its line, with the line break, and the place after it.
    pub(crate) fn line(self, at: &Link) -> Result<(String, Link), serde_json::Error> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let unix_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let event = self.bounded();
        let line = Line { number: at.next, unix_ms, event, previous: at.hash.clone() };
        let mut text = serde_json::to_string(&line)?;
        // The brace at the end comes after the hash.
        text.pop();
        let hash = hex::encode(Sha256::digest(text.as_bytes()));
        let line = format!("{text}{HASH_FIELD}{hash}{END}\n");
        Ok((line, Link { next: at.next + 1, hash }))
    }
}

impl Entry {
    /// Reads a line without its line break, and looks whether it is as it was written.
    pub(crate) fn read(line: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(line).map_err(|_| Fault::NoEntry)?;
        let without_end = text.strip_suffix(END).ok_or(Fault::NoEntry)?;
        let at = without_end.len().checked_sub(HASH_DIGITS).ok_or(Fault::NoEntry)?;
        let (head, hash) = without_end.split_at_checked(at).ok_or(Fault::NoEntry)?;
        let body = head.strip_suffix(HASH_FIELD).ok_or(Fault::NoEntry)?;
        if hex::encode(Sha256::digest(body.as_bytes())) != hash {
            return Err(Fault::Altered);
        }
        let line: Line = serde_json::from_str(&format!("{body}}}")).map_err(|_| Fault::NoEntry)?;
        Ok(Self { number: line.number, previous: line.previous, hash: hash.to_owned() })
    }

    /// The place after it.
    pub(crate) fn link(&self) -> Link {
        Link { next: self.number.saturating_add(1), hash: self.hash.clone() }
    }

    /// Whether it stands where a chain begins.
    pub(crate) fn is_first(&self) -> bool {
        self.number == 0 && self.previous == NONE
    }
}
