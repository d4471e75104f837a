//! Memory that a transform works in.

use num_complex::Complex;

/// Memory for one image at a time, made by [`Scattering::workspace`](super::Scattering::workspace);
/// one per thread.
///
/// It keeps intermediate results of the last image, so `Debug` shows none and nothing else can read
/// it.
pub struct Workspace {
    pub(crate) shape: [usize; 4],
    /// The padded image.
    pub(crate) image: Vec<f32>,
    /// Its spectrum.
    pub(crate) spectrum: Vec<Complex<f32>>,
    /// Spectra or fields of all angles.
    pub(crate) products: Vec<Complex<f32>>,
    /// Fields of all angles.
    pub(crate) fields: Vec<Complex<f32>>,
    /// Moduli of the first order, all angles.
    pub(crate) first: Vec<f32>,
    /// Moduli of the second order, all angles.
    pub(crate) second: Vec<f32>,
    /// Spectra of two moduli of the first order.
    pub(crate) pair: [Vec<Complex<f32>>; 2],
    /// For the Fourier transforms.
    pub(crate) scratch: Vec<Complex<f32>>,
    /// For the averages.
    pub(crate) lines: Vec<f32>,
}

impl std::fmt::Debug for Workspace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Workspace").field("shape", &self.shape).finish_non_exhaustive()
    }
}
