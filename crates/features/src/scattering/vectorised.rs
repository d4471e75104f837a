//! Loops compiled for the instructions found at run time.

use pulp::{Arch, Simd, WithSimd};

/// Runs loops with the vectors of this processor.
///
/// `pulp` takes closures itself, but calls them by a function of its own; where the compiler does
/// not inline that one, the loops are compiled for the instructions that every processor has.
#[inline(always)]
pub(crate) fn vectorised(loops: impl FnMut()) {
    Arch::new().dispatch(Loops(loops));
}

struct Loops<F>(F);

impl<F: FnMut()> WithSimd for Loops<F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, _: S) {
        (self.0)();
    }
}
