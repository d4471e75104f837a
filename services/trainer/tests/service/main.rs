//! The trainer over real sockets, in this process and as one of its own, with a real key vault beside it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod commit;
mod common;
mod creation;
mod evaluate;
mod parameters;
mod process;
mod session;
mod talk;
