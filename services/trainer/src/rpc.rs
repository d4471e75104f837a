//! One module per RPC.

pub mod create_model;
pub mod delete_model;
pub mod get_model;
pub mod list_models;
pub mod train;
