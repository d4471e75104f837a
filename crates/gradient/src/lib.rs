//! The client's half of a training step, in the clear on the user's machine.
//!
//! A block of up to 2048 examples travels through the network in the layout of its ciphertexts: a
//! [`Tensor`] has one row per scalar and one column, called slot, per example. [`BlockPass`] takes
//! what the server's linear layers return, applies the non-linearities, back-propagates, and in the
//! end yields the sum over the examples of their clipped gradients. [`ClearStage`] is the twin of
//! the server's layers, without encryption.
//!
//! Everything that passes through this crate is secret. Nothing here prints or reports a value of a
//! tensor; errors name shapes, stages and counts only. Tensors are not wiped when dropped.

mod clear;
mod elementwise;
mod error;
mod gradient;
mod loss;
mod pass;
mod pooling;
mod tensor;

pub use clear::{ClearError, ClearStage};
pub use elementwise::activate;
pub use error::{PassError, Turn};
pub use gradient::{BlockGradient, Clipping};
pub use loss::BlockLoss;
pub use pass::{BlockPass, Delta};
pub use tensor::{SLOT_GROUP, Tensor, TensorError};
