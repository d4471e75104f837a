//! Attacks on what the server sees: reconstruction of images from gradients, and audits of a
//! claimed ε.
//!
//! For experiments and tests alone; nothing that ships depends on it. The code is the attacker's:
//! it shares with the system only the description of networks, computes gradients on its own, and
//! is told what the server knows.
//!
//! - [`Network`] differentiates a network with respect to everything, also its gradients with
//!   respect to images.
//! - [`Reconstruction`] matches a gradient (Zhu et al. 2019, "Deep Leakage from Gradients", with
//!   the cosine distance and total variation of Geiping et al. 2020); [`rank_one_image`] reads an
//!   image off a dense first layer.
//! - [`one_run`] and [`trials`] turn an attacker's successes into a lower bound on ε; [`tradeoff`]
//!   tests all that a Gaussian mechanism claims.

mod dual;
mod inversion;
mod matching;
mod network;
pub mod one_run;
pub mod picture;
mod tape;
pub mod tradeoff;
pub mod trials;

pub use inversion::{label_of_single, rank_one_image};
pub use matching::{Knowledge, Observation, Reconstructed, Reconstruction};
pub use network::{AttackError, Gradient, Network};
