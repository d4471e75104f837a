//! The training session: state, linear products, commits.

mod commit;
mod evaluate;
mod follow;
pub(crate) mod optimizer_state;
mod prepared;
mod session;
mod streams;

pub(crate) use commit::commit;
pub(crate) use evaluate::evaluate;
pub(crate) use follow::follow;
pub(crate) use session::Session;
pub(crate) use streams::{Inbound, Outbound, out_of_order};
