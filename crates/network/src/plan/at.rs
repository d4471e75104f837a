//! The checks that layers of every kind share.

use crate::error::SpecError;
use crate::spec::LayerKind;

/// Most scalars of one sample anywhere in a network; each is a ciphertext row per block.
pub const MAX_ROWS: usize = 65_536;
pub(super) fn is_positive(value: f32) -> bool {
    value.is_finite() && value > 0.0
}

/// The layer being looked at, for errors.
#[derive(Clone, Copy)]
pub(super) struct At {
    pub(super) layer: usize,
    pub(super) kind: LayerKind,
}

impl At {
    pub(super) fn check_size(self, field: &'static str, got: usize) -> Result<(), SpecError> {
        self.check_range(field, got, MAX_ROWS)
    }

    pub(super) fn check_range(
        self,
        field: &'static str,
        got: usize,
        limit: usize,
    ) -> Result<(), SpecError> {
        let Self { layer, kind } = self;
        if got == 0 || got > limit {
            return Err(SpecError::Size { layer, kind, field, got, limit });
        }
        Ok(())
    }
}
