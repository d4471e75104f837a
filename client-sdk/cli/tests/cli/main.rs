//! The command `sphinx` as users run it: the real binary against real services.
#![cfg(unix)]
#![expect(clippy::unwrap_used, reason = "a failed set-up fails the test")]

mod bad_luck;
mod budgets;
mod configuration;
mod data;
mod data_budget;
mod demo;
mod doctor;
mod files;
mod follow;
mod guarantees;
mod keys;
mod leaks;
mod lifecycle;
mod linear;
mod needles;
mod one_shot;
mod persons;
mod protected;
mod recipes;
mod recognition;
mod rotation;
mod sealed_keys;
mod streams;
mod suspects;
mod tickets;
mod world;
