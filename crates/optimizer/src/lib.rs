//! First-order optimisers on (noised) gradients, learning-rate schedules and weight averaging.
//!
//! They know nothing of encryption or privacy: what they make of noised gradients is
//! post-processing. The server runs them on the weights, the client on its gradients of the biases.
//! All arithmetic is f32 in a fixed order, so that equal inputs give equal bits wherever they run.
//!
//! ```
//! use sphinx_optimizer::{Decay, Optimizer, OptimizerSpec, Schedule};
//!
//! let decay = Decay::Cosine { floor: 0.0 };
//! let schedule = Schedule { peak: 0.1, decay, warmup: 2, total: 10 };
//! let mut optimizer = Optimizer::new(OptimizerSpec::Sgd { momentum: 0.9, nesterov: false }, 2)?;
//! let mut weights = [1.0, -1.0];
//! let rates = optimizer.spec().rates(schedule.rate(0), 1);
//! optimizer.apply(&mut weights, &[0.5, 0.5], &rates)?;
//! assert_eq!(weights, [0.975, -1.025]);
//! # Ok::<(), sphinx_optimizer::OptimizerError>(())
//! ```

mod average;
mod error;
mod optimizer;
mod rule;
mod schedule;

pub use average::WeightAverage;
pub use error::OptimizerError;
pub use optimizer::{Optimizer, OptimizerSpec, OptimizerState, StepRates};
pub use rule::{RuleState, TrainingRule};
pub use schedule::{Decay, Schedule};
