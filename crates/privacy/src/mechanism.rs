//! The Gaussian mechanism on a fixed-point grid.

use std::fmt;

use rand::CryptoRng;

use crate::discrete_gaussian::DiscreteGaussian;
use crate::overflow::BLOCK_SLOTS;
use crate::quantity::NoiseMultiplier;

/// The grid is at most C / (√d · GRID_FINENESS): rounding enlarges the sensitivity by 1/4096.
const GRID_FINENESS: f64 = 4096.0;
/// Noise is at least this many grid units wide, where the discrete Gaussian is Gaussian to
/// e^(−10⁷).
pub(crate) const MIN_SCALE: f64 = 1024.0;
/// Sums beyond this many grid units are no clipped sums; below, all arithmetic on them is exact.
const MAX_UNITS: f64 = 4_503_599_627_370_496.0; // 2⁵²
/// Most components of a release: the accountant counts on it.
pub(crate) const MAX_DIMENSION: u64 = 1 << 40;
/// Clipping norms whose grid stays within the normal f32 range.
const CLIPPING_NORMS: std::ops::RangeInclusive<f64> = 1e-12..=1e12;

/// Why the mechanism cannot be set up, or refuses a sum. Never holds a gradient or noise.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum MechanismError {
    /// Clipping norm of zero (every gradient vanishes), negative, not a number, or absurd.
    #[error("clipping norm {got} is not in 1e-12 to 1e12: give the largest L2 norm of one example")]
    ClippingNorm {
        /// The norm offered.
        got: f64,
    },
    /// The allowance for floating-point error is negative, not a number, or above 1.
    #[error("floating-point slack {got} is not in 0 to 1, as a fraction of the clipping norm")]
    Slack {
        /// The slack offered.
        got: f64,
    },
    /// A release of no numbers, or of more than 2⁴⁰.
    #[error("a gradient of {got} components cannot be released: give 1 to {MAX_DIMENSION}")]
    Dimension {
        /// The number offered.
        got: usize,
    },
    /// The noise would not fit in the integers of the exact sampler.
    #[error("noise multiplier {sigma} with {dimension} components is beyond the exact sampler")]
    Scale {
        /// Noise multiplier asked for.
        sigma: f64,
        /// Components of the gradient.
        dimension: usize,
    },
    /// The sum has another length than the mechanism was made for.
    #[error("gradient has {got} components, the mechanism was made for {expected}")]
    Length {
        /// Components offered.
        got: usize,
        /// Components the mechanism was made for.
        expected: usize,
    },
    /// A component is infinite or not a number: training diverged.
    #[error(
        "gradient component {index} is not finite: nothing was released; lower the learning rate"
    )]
    NonFinite {
        /// First such component.
        index: usize,
    },
    /// A component is larger than any clipped sum can be.
    #[error("gradient component {index} is larger than any clipped sum: was clipping left out?")]
    Unclipped {
        /// First such component.
        index: usize,
    },
}

/// What a mechanism is made for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MechanismSpec {
    /// C: bound on the L2 norm of one example's contribution, weights and biases jointly.
    pub clipping_norm: f64,
    /// σ: standard deviation of the noise over the sensitivity.
    pub noise_multiplier: NoiseMultiplier,
    /// d: number of components, weights and biases together.
    pub dimension: usize,
    /// Allowance for floating-point error in clipping and summing, as a fraction of C: how much
    /// further than C the computed sum may move when one example is replaced by nothing. The
    /// guarantee is conditional on it; noise grows in proportion. See
    /// [`MechanismSpec::group_slack`].
    pub slack: f64,
}

impl MechanismSpec {
    /// Slack, proven, for sums over `blocks` blocks as `sphinx-gradient` forms them, where each
    /// example takes `copies` slots: 160 u · copies + 2^-51 · slots · (2048 + blocks), with u =
    /// 2^-24 and slots = 2048 · blocks. 10^-5 without copies, for any practical number of blocks.
    ///
    /// **What is summed.** A slot adds t = f · δ aᵀ (a dense layer: clipping factor, gradient at
    /// the output, input with a 1 for the bias) or t = f · G (a convolution, whose gradient G over
    /// the copies is formed). *Taken exactly*, the contributions of an example have an L2 norm of
    /// at most C: the errors of norm and factor are covered by the factor's own margin of 8·10^-6
    /// (`MARGIN` in `sphinx-gradient`), and need no slack. The f32 products f · δ are off by u.
    ///
    /// Slots are summed in f32 by groups of at most 8, which are fixed by slot numbers, and all
    /// groups in f64. A group holds slots of one copy, and the groups of an example's copies hold
    /// the same 8 examples.
    ///
    /// **Theorem.** Let one example be replaced by nothing and the others stay in their slots. The
    /// computed sums differ by at most C(1 + slack).
    ///
    /// 1. Nothing that the other slots hold changes (no step mixes slots), and an empty slot adds
    ///    zeros, which change no bit. So all groups but the example's own keep their bits, and
    ///    cancel.
    /// 2. Of a group's sum, a component is off by at most γ Σ|t|, where γ = 9u / (1 − 9u): each
    ///    term goes through at most 8 roundings of products and sums, fused or not, and one of f ·
    ///    δ (Higham 2002, *Accuracy and Stability of Numerical Algorithms*, §3.1). So the group is
    ///    off by at most γ Σ‖t‖ in L2 norm.
    /// 3. Without copies Σ‖t‖ over a group is 8 C with the example and 7 C without: together 15 γ C
    ///    = 135 u C. With K copies the gradients of an example's K slots are clipped to add up to K
    ///    C in the dense layers at most, and to C in the convolutions, so to √(K² + 1) C over all
    ///    of its groups (Minkowski's inequality over the layers): together 15 √(K² + 1) γ C ≤ 151 K
    ///    u C for K ≥ 2. What is left to 160 K u covers γ / 9u, norms of copies (off by 10^-4 at
    ///    most) and underflow (2^-150 where C is 10^-12 at least).
    /// 4. The groups' sums have norms that add up to at most 1.12 · slots · C (3. again, by slots),
    ///    and each component goes through at most 2048 + blocks additions in f64, so that a sum is
    ///    off by 1.12 · slots · (2048 + blocks) · 2^-53 C at most, and two by 2^-51 of the same
    ///    with room to spare.
    ///
    /// Rounding to the grid is not in it: it is the √d of [`GaussianMechanism`].
    pub fn group_slack(blocks: u64, copies: u64) -> f64 {
        const ROUNDOFF: f64 = 1.0 / 16_777_216.0; // 2⁻²⁴
        const DOUBLE: f64 = 1.0 / 2_251_799_813_685_248.0; // 2⁻⁵¹
        let (blocks, block) = (blocks as f64, BLOCK_SLOTS as f64);
        160.0 * ROUNDOFF * copies as f64 + blocks * block * (block + blocks) * DOUBLE
    }
}

/// Releases clipped sums of gradients with discrete Gaussian noise.
///
/// The sum is rounded to multiples of a grid g = 2^−k, noise of scale s in units of g is added as
/// integers, and integers times g are returned: a post-processing of integers, so the bits
/// of the returned floats leak nothing.
///
/// **Sensitivity.** Let S, S′ be computed sums with one example and with nothing in its place:
/// ‖S − S′‖ ≤ C(1 + slack). Rounding moves each component by at most g/2 on either side, so the
/// rounded sums differ by an integer vector of norm at most Δ = C(1 + slack)/g + √d in units of g
/// (triangle inequality). The noise has scale s = ⌈σΔ⌉, so its multiplier with respect to Δ is at
/// least σ. For an integer shift μ the moments of integer order of the discrete Gaussian's privacy
/// loss equal those of the Gaussian, e^{(k²−k)‖μ‖²/2s²} (the shifted lattice is the lattice), and
/// reflection maps one neighbour's distribution to the other's; hence the bound of Mironov,
/// Talwar & Zhang holds unchanged. Fractional orders differ by relative e^(−2π²s²), below
/// 10^(−10⁶) here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussianMechanism {
    spec: MechanismSpec,
    grid: f64,
    noise: DiscreteGaussian,
}

impl GaussianMechanism {
    /// Chooses grid and scale.
    ///
    /// # Errors
    /// [`MechanismError::ClippingNorm`], [`MechanismError::Slack`], [`MechanismError::Dimension`],
    /// [`MechanismError::Scale`].
    pub fn new(spec: MechanismSpec) -> Result<Self, MechanismError> {
        let MechanismSpec { clipping_norm, noise_multiplier, dimension, slack } = spec;
        if !CLIPPING_NORMS.contains(&clipping_norm) {
            return Err(MechanismError::ClippingNorm { got: clipping_norm });
        }
        if !(0.0..=1.0).contains(&slack) {
            return Err(MechanismError::Slack { got: slack });
        }
        if dimension == 0 || dimension as u64 > MAX_DIMENSION {
            return Err(MechanismError::Dimension { got: dimension });
        }
        let sigma = noise_multiplier.get();
        let root = (dimension as f64).sqrt();
        let contribution = clipping_norm * (1.0 + slack);
        // The last factor covers the rounding of this line itself.
        let scale = |grid: f64| (sigma * (contribution / grid + root) * (1.0 + 1e-12)).ceil();
        let coarsest = (clipping_norm / (root * GRID_FINENESS)).log2().floor();
        // Little noise needs a finer grid.
        let grid = (0..32)
            .map(|halvings| (coarsest - f64::from(halvings)).exp2())
            .find(|&grid| scale(grid) >= MIN_SCALE);
        grid.and_then(|grid| {
            let noise = DiscreteGaussian::new(scale(grid) as u64)?;
            Some(Self { spec, grid, noise })
        })
        .ok_or(MechanismError::Scale { sigma, dimension })
    }

    /// What the mechanism was made for.
    pub fn spec(&self) -> &MechanismSpec {
        &self.spec
    }

    /// Spacing g of the released values, a power of two.
    pub fn grid(&self) -> f64 {
        self.grid
    }

    /// Standard deviation of the noise in the units of the gradient: σ·C plus the allowances.
    pub fn noise_deviation(&self) -> f64 {
        self.noise.scale() as f64 * self.grid
    }

    /// Releases a sum of clipped gradients, which stays in f64 until it is rounded to the grid.
    /// About 0.2 µs per component.
    ///
    /// Calling this twice for one batch spends twice: store the result before it is sent, and send
    /// the stored bytes again after a failure
    /// ([`Ledger::reserve`](crate::ledger::Ledger::reserve)).
    ///
    /// # Errors
    /// [`MechanismError::Length`], [`MechanismError::NonFinite`], [`MechanismError::Unclipped`]; no
    /// randomness is consumed then.
    pub fn release<R: CryptoRng + ?Sized>(
        &self,
        sum: &[f64],
        rng: &mut R,
    ) -> Result<NoisedSum, MechanismError> {
        if sum.len() != self.spec.dimension {
            return Err(MechanismError::Length { got: sum.len(), expected: self.spec.dimension });
        }
        if let Some(index) = sum.iter().position(|component| !component.is_finite()) {
            return Err(MechanismError::NonFinite { index });
        }
        let per_unit = 1.0 / self.grid; // exact: a power of two
        if let Some(index) = sum.iter().position(|&x| (x * per_unit).abs() > MAX_UNITS) {
            return Err(MechanismError::Unclipped { index });
        }
        let noised = sum.iter().map(|&component| {
            let units = (component * per_unit).round() as i64;
            ((units + self.noise.sample(rng)) as f64 * self.grid) as f32
        });
        Ok(NoisedSum(noised.collect()))
    }
}

/// A sum of gradients that went through a [`GaussianMechanism`]: only these may leave the client.
#[derive(Clone, PartialEq)]
pub struct NoisedSum(Vec<f32>);

impl NoisedSum {
    /// The released components, in the order of the sum.
    pub fn as_slice(&self) -> &[f32] {
        &self.0
    }

    /// The released components, in the order of the sum.
    pub fn into_vec(self) -> Vec<f32> {
        self.0
    }
}

impl fmt::Debug for NoisedSum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NoisedSum({} components)", self.0.len())
    }
}

#[cfg(test)]
mod tests;
