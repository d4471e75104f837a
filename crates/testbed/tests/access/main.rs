//! Who is let in, how, and to what: real services on real sockets.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod audit;
mod broken;
mod matrix;
mod silence;
mod tokens;
mod transport;
mod world;
