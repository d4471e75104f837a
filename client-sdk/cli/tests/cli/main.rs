//! The command `sphinx` as users run it: the real binary against real services.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod budgets;
mod configuration;
mod data;
mod demo;
mod files;
mod guarantees;
mod keys;
mod lifecycle;
mod one_shot;
mod persons;
mod recipes;
mod recognition;
mod rotation;
mod streams;
mod suspects;
mod tickets;
mod world;
