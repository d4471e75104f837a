//! Evaluation keys: large, sent in pieces that are stored as they come, and checked before they are
//! registered.

mod check;
mod parts;
mod receive;
mod register;

pub(crate) use check::Checks;
pub(crate) use parts::{PART_BYTES, Parts};
pub(crate) use receive::Receiver;

/// Number of parts of a material.
pub(crate) fn part_count(material_bytes: u64) -> usize {
    usize::try_from(material_bytes.div_ceil(PART_BYTES as u64)).unwrap_or(usize::MAX)
}
