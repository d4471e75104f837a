//! The public features of an image: what the client computes from its pixels, in the clear and by
//! public constants, before anything is encrypted.
//!
//! [`PublicStem`] evaluates the fixed layers at the start of a network, as a
//! [`Plan`](sphinx_network::Plan) lists them; [`Scattering`] is the largest of them. Whoever holds
//! no images checks the same layers by their shapes alone: those rules, with the limits of scales
//! and angles, are in `sphinx_network`.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use sphinx_features::PublicStem;
//! use sphinx_network::{NetworkSpec, Plan};
//!
//! let spec = NetworkSpec::builtin("scatter-linear").ok_or("not built in")?;
//! let stem = PublicStem::new(&Plan::new(&spec)?)?;
//! assert_eq!(stem.apply(&[0.5; 784])?.len(), 81 * 7 * 7);
//! # Ok(())
//! # }
//! ```

mod deskew;
mod error;
mod scattering;
mod stem;

pub use error::FeatureError;
pub use scattering::{
    EPSILON, MAX_OUTPUTS, MAX_SIDE, Scattering, ScatteringError, Workspace, normalise_groups,
};
pub use stem::{PublicStem, StemWorker};
