//! Non-linearities over whole tensors.
//!
//! Written as plain loops that the compiler vectorises for the instruction set found at run time;
//! the functions themselves are the network's ([`Activation::visit_function`]).

use pulp::Arch;
use rayon::prelude::*;
use sphinx_network::{Activation, FunctionVisitor};

use crate::tensor::Tensor;

/// Values per task: 64 KiB, within a second-level cache.
const CHUNK: usize = 1 << 14;

/// Replaces every value by the activation's output. Cost for tanh: about 35 instructions per
/// vector, so it is bound by memory on several cores.
pub fn activate(activation: Activation, values: &mut Tensor) {
    let chunks = values.as_mut_slice().par_chunks_mut(CHUNK);
    chunks.for_each(|chunk| activation.visit_function(Map(chunk)));
}

/// Multiplies every value of `delta` by the activation's derivative at the point where it took the
/// value of `outputs`: the two must have the same shape.
pub(crate) fn scale_by_derivative(activation: Activation, outputs: &Tensor, delta: &mut Tensor) {
    debug_assert_eq!((outputs.rows(), outputs.slots()), (delta.rows(), delta.slots()));
    let chunks = delta.as_mut_slice().par_chunks_mut(CHUNK);
    chunks
        .zip(outputs.as_slice().par_chunks(CHUNK))
        .for_each(|(delta, outputs)| activation.visit_derivative(Scale { delta, outputs }));
}

/// Replaces activation outputs by the derivative at the point where they were taken; 1 without an
/// activation.
pub(crate) fn differentiate(activation: Option<Activation>, outputs: &mut [f32]) {
    match activation {
        Some(activation) => activation.visit_derivative(Map(outputs)),
        None => outputs.fill(1.0),
    }
}

/// Replaces every value by the function's.
struct Map<'a>(&'a mut [f32]);

impl FunctionVisitor for Map<'_> {
    fn visit(self, function: impl Fn(f32) -> f32) {
        let Self(values) = self;
        Arch::new().dispatch(|| {
            for value in values.iter_mut() {
                *value = function(*value);
            }
        });
    }
}

/// Multiplies every delta by the function of the output beside it.
struct Scale<'a> {
    delta: &'a mut [f32],
    outputs: &'a [f32],
}

impl FunctionVisitor for Scale<'_> {
    fn visit(self, function: impl Fn(f32) -> f32) {
        let Self { delta, outputs } = self;
        Arch::new().dispatch(|| {
            for (delta, &output) in delta.iter_mut().zip(outputs) {
                *delta *= function(output);
            }
        });
    }
}

#[cfg(test)]
mod tests;
