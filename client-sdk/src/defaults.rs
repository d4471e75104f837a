//! What trainings are like unless told otherwise, in one place, for every face of the SDK.

use sphinx_optimizer::{Decay, OptimizerSpec};

/// The network for digits.
pub const NETWORK: &str = "sphinx-mnist";

/// Passes over the data.
pub const EPOCHS: f64 = 10.0;
/// Passes over the data by `sphinx demo`: it ends within five minutes on two cores.
pub const DEMO_EPOCHS: f64 = 6.0;

/// ε not to be exceeded.
pub const EPSILON: f64 = 3.0;
/// δ of that ε: below 1 / 60 000, the number of training images of MNIST.
pub const DELTA: f64 = 1e-5;
/// L2 norm to which each example's gradient is clipped.
pub const CLIPPING_NORM: f32 = 0.1;

/// Blocks of 2048 slots per step.
pub const BLOCKS: u64 = 1;
/// Most pixels by which copies are moved, where there are any.
pub const SHIFT: u8 = 1;
/// Steps over which the learning rate of SGD rises first.
pub const SGD_WARMUP: u64 = 0;
/// The same of Adam, whose first steps are the largest.
pub const ADAM_WARMUP: u64 = 20;
/// Images of one person in one step.
pub const MAX_PER_PERSON: usize = 8;
/// Seed of a new model's weights. They are public, so it need not be random.
pub const SEED: u64 = 1;

/// How the learning rate falls.
pub const DECAY: Decay = Decay::Cosine { floor: DECAY_FLOOR };
/// Its last value over the largest.
pub const DECAY_FLOOR: f32 = 0.05;

/// Momentum of SGD.
pub const SGD_MOMENTUM: f32 = 0.9;
/// Adam with its usual constants.
pub const ADAM: OptimizerSpec = OptimizerSpec::ADAM;

/// Largest learning rate of SGD on gradients clipped to [`CLIPPING_NORM`], which are small.
pub const SGD_PRIVATE_RATE: f32 = 24.0;
/// Largest learning rate of SGD on exact gradients.
pub const SGD_EXACT_RATE: f32 = 0.1;
/// Largest learning rate of Adam, with or without noise.
pub const ADAM_RATE: f32 = 0.02;
