//! Services that lie: real gRPC services before real ones, which alter what passes.

mod inference;
mod trainer;

pub use inference::{Liar, Lie, Lies};
pub use trainer::{Answer, LyingTrainer, Passing, Trick};
