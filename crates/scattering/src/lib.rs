//! The two-dimensional scattering transform of an image (Mallat, *Group invariant scattering*, 2012; Bruna & Mallat,
//! *Invariant scattering convolution networks*, 2013): fixed, public features, without anything trained.
//!
//! With Morlet wavelets ψ of J scales and L angles and a Gaussian φ it yields
//!
//! - order 0: `x ⋆ φ`,
//! - order 1: `|x ⋆ ψ_j,θ| ⋆ φ`,
//! - order 2: `||x ⋆ ψ_j,θ| ⋆ ψ_k,η| ⋆ φ` for k > j,
//!
//! sampled every 2^J pixels. Filters, padding, sampling and order of the channels are those of Kymatio's
//! `Scattering2D` (Andreux et al., JMLR 2020), against whose results it is tested.
//!
//! ```
//! # fn main() -> Result<(), sphinx_scattering::ScatteringError> {
//! use sphinx_scattering::{Scattering, normalise_groups};
//!
//! let scattering = Scattering::new(28, 28, 2, 8)?;
//! assert_eq!(scattering.output(), [81, 7, 7]);
//! let mut workspace = scattering.workspace();
//! let mut features = vec![0.0; 81 * 7 * 7];
//! scattering.transform(&[0.5; 28 * 28], &mut workspace, &mut features)?;
//! normalise_groups(&mut features, 27)?;
//! # Ok(())
//! # }
//! ```

mod error;
mod filters;
mod fourier;
mod groups;
mod lowpass;
mod scattering;
mod wavelets;
mod workspace;

pub use error::ScatteringError;
pub use groups::{EPSILON, normalise_groups};
pub use scattering::{MAX_ANGLES, MAX_OUTPUTS, MAX_SCALES, MAX_SIDE, Scattering};
pub use workspace::Workspace;
