//! One module per RPC.

pub(crate) mod describe_model;
pub(crate) mod fetch_weights;
pub(crate) mod infer;
pub(crate) mod infer_batch;
pub(crate) mod infer_linear;
pub(crate) mod infer_once;
pub(crate) mod prepare;
pub(crate) mod sync_tickets;
