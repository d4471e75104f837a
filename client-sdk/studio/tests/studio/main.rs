//! The studio over real sockets, with real services.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod door;
mod way;
mod world;
