//! One module per RPC.

pub(crate) mod compare_versions;
pub(crate) mod create_model;
pub(crate) mod delete_model;
pub(crate) mod export_model;
pub(crate) mod get_model;
pub(crate) mod list_models;
pub(crate) mod list_versions;
pub(crate) mod put_biases;
pub(crate) mod rotate_key;
pub(crate) mod train;
pub(crate) mod watch_model;
