//! Checks of products with integer weights that somebody else computed (Freivalds 1977), over the
//! integers: after unmasking nothing wraps, so a prime field will do.
//!
//! For z = W x with secret, uniform τ modulo p = 2^61 - 1, and w̃ = τᵀ W: Σ τ(o) z(o) = Σ w̃(j)
//! x(j). A wrong z passes with probability 1/p: some z(o) - z'(o) is no multiple of p, because both
//! are smaller, and for every choice of the other τ one value of τ(o) alone makes the sums agree.
//!
//! Costs one term per input and output instead of one per weight.

mod cpu;
mod field;
mod limbs;
mod project;
mod slots;

pub use cpu::thread_cpu;
pub use field::{PRIME, add, random, reduce, residue};
pub use limbs::Limbs;
pub use project::project;
pub use slots::SlotSums;
