//! What client and services agree on for recognition in one shot: the parameter sets, the
//! evaluation keys that a client uploads, and the forms of a query and of its answer.
//!
//! Who only keeps keys or encrypts queries needs no more than this; the evaluation itself is
//! `sphinx-bootstrap`. This crate cannot hold a secret key.

mod keys;
mod layout;
mod linear;
mod parameters;
mod query;

pub use keys::{EvaluationKeyError, EvaluationKeys, LookupKeys, MAX_KEY_BYTES, PackingKey};
pub use layout::{LayoutError, MAX_CIPHERTEXTS, QUERY_WIDTH, QueryLayout};
pub use linear::{LinearQuery, LinearResult};
pub use parameters::{Gadget, OneShotProfile, Parameters, lwe_noise_bound_log2};
pub use query::{
    ANSWER_BODY_WIDTH, ANSWER_MASK_WIDTH, Answer, Query, QueryError, logit_coefficient,
};
