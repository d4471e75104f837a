//! Recognition of images that stay here, by a network whose weights stay there.
//!
//! Offline, a [`Recogniser`] draws uniform masks r for every linear layer, has the server compute W
//! r on their encryptions, 2048 queries at once, and decrypts: (r, u = W r + b) is a [`Ticket`].
//! Online, one small round per linear layer without any ciphertext: the server sees x - r, which is
//! uniform whatever x is, and answers W (x - r); adding u gives W x + b exactly, modulo 2^t.
//! Every layer of every image is checked before anything is made of it: an answer, a ticket or a
//! repair that is wrong in any place ends the use of the model ([`crate::StateError::WrongProduct`]).
//!
//! A ticket hides one image only. [`Recogniser::infer`] therefore takes it by value, and nothing
//! can copy one.

mod batch;
mod check;
mod dataset;
pub(crate) mod guard;
mod infer;
mod masks;
pub(crate) mod model;
pub(crate) mod offload;
pub(crate) mod open;
mod prepare;
pub(crate) mod recogniser;
pub(crate) mod repair;
mod ticket;

pub use dataset::{DatasetPredictions, DatasetProgress};
pub use infer::Prediction;
pub use recogniser::{Recogniser, ServedModel};
pub use repair::{GivenUp, Repair, Unrepairable};
pub use ticket::{Ticket, TicketBook};
