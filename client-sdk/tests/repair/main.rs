//! Tickets repaired while a real trainer trains, against the quantised network in the clear.
#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod training;
mod world;
