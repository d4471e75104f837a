//! Gradients as they are encrypted: normalised, because fixed point has no exponent.

use std::fmt;

use rayon::prelude::*;

use crate::tensor::Tensor;

/// The gradient of each example's loss with respect to a stage's output, as `scale[slot] · tensor`.
///
/// Linear maps commute with the scale, so the server works on numbers in `[-1, 1]` whatever the
/// gradient's size.
#[derive(Clone, PartialEq)]
pub struct Delta {
    /// `stage.output rows × slots`; the largest absolute value of each slot is 1, or 0 if its
    /// gradient is zero.
    pub tensor: Tensor,
    /// The largest absolute value of each slot's gradient. Stays with the client.
    pub scale: Vec<f32>,
}

impl Delta {
    pub(super) fn normalise(delta: &Tensor) -> Self {
        let scale = slot_scale(delta);
        // A slot of zeros must stay zero, so it is divided by one.
        let divisor: Vec<f32> = scale.iter().map(|&s| if s == 0.0 { 1.0 } else { s }).collect();
        let mut tensor = delta.clone();
        let slots = tensor.slots();
        tensor.as_mut_slice().par_chunks_mut(slots).for_each(|row| {
            row.iter_mut().zip(&divisor).for_each(|(value, divisor)| *value /= divisor);
        });
        Self { tensor, scale }
    }
}

impl fmt::Debug for Delta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delta").field("tensor", &self.tensor).finish_non_exhaustive()
    }
}

/// The largest absolute value of each slot.
pub(super) fn slot_scale(delta: &Tensor) -> Vec<f32> {
    let mut scale = vec![0.0f32; delta.slots()];
    for row in 0..delta.rows() {
        for (scale, value) in scale.iter_mut().zip(delta.row(row)) {
            *scale = scale.max(value.abs());
        }
    }
    scale
}

/// Undoes the normalisation of [`Delta`] after the linear map.
pub(super) fn multiply_slots(values: &mut Tensor, scale: &[f32]) {
    let slots = values.slots();
    values.as_mut_slice().par_chunks_mut(slots).for_each(|row| {
        row.iter_mut().zip(scale).for_each(|(value, scale)| *value *= scale);
    });
}
