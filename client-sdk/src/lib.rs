//! sphinx-client

pub mod data;
