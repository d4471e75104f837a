//! Recognition in one shot over real sockets: a key vault, an inference service as a process, real
//! keys.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod answers;
mod keys;
mod resources;
mod world;
