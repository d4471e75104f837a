//! One module per RPC.
pub(crate) mod delete_key;
pub(crate) mod exchange_keys;
pub(crate) mod fetch_key;
pub(crate) mod find_upload;
pub(crate) mod get_key;
pub(crate) mod list_keys;
pub(crate) mod revoke_key;
