//! Differential privacy of training: sampling, noise, accounting, and the durable record of what
//! was spent.
//!
//! # The theorem
//!
//! Let every step draw each example independently with probability q ([`PoissonSampler`]), bound
//! each drawn example's gradient, weights and biases jointly, to an L2 norm of C, and release only
//! the sum plus Gaussian noise of standard deviation σ·C ([`GaussianMechanism`]). Then one step has
//! Rényi divergence D_α ≤ ln A_α(q, σ) / (α − 1) between neighbouring data sets (Mironov, Talwar &
//! Zhang 2019), divergences of adaptively chosen steps add up, and for every order α the
//! composition is (ε, δ)-differentially private with
//!
//! - improved: ε = D_α + ln(1 − 1/α) − ln(δα) / (α − 1) (Canonne, Kamath & Steinke 2020, Prop. 12),
//! - classical: ε = D_α + ln(1/δ) / (α − 1) (Mironov 2017, Prop. 3; the moments accountant).
//!
//! The accountant states the smallest of each over a fixed set of orders. Tighter, where all
//! parameters are fixed in advance, is the distribution of the privacy loss itself, composed with
//! bounds on every error of the computation (Zhu, Dong & Wang 2022; Doroshenko et al. 2022): the
//! proof is in the module `loss`. [`Accountant`] states all three, and [`Epsilon::proven`] says
//! which is proven. Weights and biases of all versions, predictions and whatever else is computed
//! from released sums are post-processing.
//!
//! # Assumptions
//!
//! - Neighbours differ by one example, which is replaced by nothing (zero-out): the number of
//!   examples is public, and sets q, σ and the number of steps. The bounds are those for adding or
//!   removing an example. One example is one unit, and somebody with many examples in the data is
//!   protected less, unless the unit is a person with all his examples
//!   ([`ledger::PrivacyUnit`]): then read person for example throughout.
//! - *All* gradients go through the mechanism, those of encrypted biases included, and are divided
//!   by the expected batch size, not the true one. Otherwise nothing is proven
//!   ([`ledger::Charge::Unproven`]).
//! - An example's gradient depends on no other example of the batch (no batch normalisation). Where
//!   it is the mean over augmented copies, they are made of that example alone and the mean is what
//!   is clipped.
//! - Batches are padded to a fixed number of blocks. What does not fit is dropped; the probability
//!   of that is taken from δ, see below.
//! - Floating-point error of clipping and summing stays within [`MechanismSpec::slack`], as proven
//!   for the sums of `sphinx-gradient` ([`MechanismSpec::group_slack`]). The noise itself is exact:
//!   integers, on a grid, see [`GaussianMechanism`].
//! - The generator passed in is cryptographic, and its state and the running time of the sampler
//!   are hidden from the server.
//! - The number of steps, the size of the data set and all parameters are public.
//!
//! # Batches that overflow
//!
//! Couple the batches of D with x and with nothing in its place: draw the others once for both, and
//! toss for x apart.
//! Let O be the event that in some step this common batch fills all slots. O has the same
//! probability under both, at most steps · P[Binomial(n, q) ≥ capacity]; outside of it nothing is
//! dropped from either, and conditioned on any common batch a step is the mechanism of the theorem
//! (whose bound holds for each common batch, by joint quasi-convexity). So the training is (ε, δ′ +
//! P\[O\])-private when the mechanism is (ε, δ′)-private: the accountant converts at δ′ = δ − steps
//! · [`overflow_probability`].
//!
//! # Example
//!
//! ```
//! use sphinx_privacy::{Delta, PlanRequest, PrivacyPlan, Target};
//!
//! let plan = PrivacyPlan::solve(&PlanRequest {
//!     target: Target::new(2.0, Delta::new(1e-5)?)?,
//!     examples: 60_000,
//!     expected_batch: None,
//!     blocks: 1,
//!     copies: 1,
//!     epochs: 10.0,
//! })?;
//! assert!(plan.epsilon.proven() <= 2.0);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accountant;
pub mod data;
mod discrete_gaussian;
mod epsilon;
mod integers;
pub mod ledger;
mod log_space;
mod loss;
mod mechanism;
mod overflow;
mod plan;
mod quantity;
mod renyi;
mod sampler;
mod search;
mod selection;

pub use accountant::{Accountant, AccountingError, Segment};
pub use epsilon::{Epsilon, Proof};
pub use loss::LossError;
pub use mechanism::{GaussianMechanism, MechanismError, MechanismSpec, NoisedSum};
pub use overflow::{BLOCK_SLOTS, block_capacity, largest_expected_batch, overflow_probability};
pub use plan::{DeltaWarning, PlanError, PlanRequest, PrivacyPlan, check_blocks};
pub use quantity::{Delta, NoiseMultiplier, QuantityError, SamplingRate, Target};
pub use sampler::{PoissonBatch, PoissonSampler};
pub use selection::{Selection, SelectionEpsilon, SelectionError, noised_count};
