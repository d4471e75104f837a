//! Non-linearities over whole tensors.
//!
//! Written as plain loops that the compiler vectorises for the instruction set found at run time. They use no
//! fused multiply-add and no reassociation, so that every machine computes the same bits.

use pulp::Arch;
use rayon::prelude::*;
use sphinx_network::{Activation, quantised};

use crate::tensor::Tensor;

/// Values per task: 64 KiB, within a second-level cache.
const CHUNK: usize = 1 << 14;

/// Beyond this |x|, tanh x rounds to ±1 in `f32`.
const TANH_SATURATION: f32 = 9.02;

/// Numerator and denominator, in ascending powers of x², of `tanh x / x` by Lambert's continued fraction
/// `1 / (1 + x²/(3 + x²/(5 + …)))` cut after 13 terms, both divided by the constant term.
/// Exact to 3.4e-8 for |x| ≤ 9.02. All coefficients are positive, so nothing cancels.
const TANH_NUMERATOR: [f32; 7] = coefficients([
    7_905_853_580_625,
    1_159_525_191_825,
    41_247_931_725,
    523_783_260,
    2_552_550,
    4_095,
    1,
]);
const TANH_DENOMINATOR: [f32; 7] = coefficients([
    7_905_853_580_625,
    3_794_809_718_700,
    252_070_693_875,
    5_237_832_600,
    41_351_310,
    120_120,
    91,
]);

/// Replaces every value by the activation's output. Cost for tanh: about 35 instructions per vector, so it is
/// bound by memory on several cores.
pub fn activate(activation: Activation, values: &mut Tensor) {
    values.as_mut_slice().par_chunks_mut(CHUNK).for_each(|chunk| match activation {
        Activation::Tanh => map(chunk, tanh),
        Activation::Sigmoid => map(chunk, sigmoid),
        Activation::Relu { cap } => map(chunk, |z| clipped_relu(z, cap)),
        Activation::QuantisedTanh { levels } => map(chunk, |z| quantised(tanh(z), levels)),
    });
}

/// Multiplies every value of `delta` by the activation's derivative at the point where it took the value of
/// `outputs`: the two must have the same shape.
pub(crate) fn scale_by_derivative(activation: Activation, outputs: &Tensor, delta: &mut Tensor) {
    debug_assert_eq!((outputs.rows(), outputs.slots()), (delta.rows(), delta.slots()));
    let chunks = delta.as_mut_slice().par_chunks_mut(CHUNK);
    chunks.zip(outputs.as_slice().par_chunks(CHUNK)).for_each(
        |(delta, outputs)| match activation {
            Activation::Tanh => zip_map(delta, outputs, |delta, a| delta * tanh_derivative(a)),
            Activation::Sigmoid => {
                zip_map(delta, outputs, |delta, a| delta * sigmoid_derivative(a));
            }
            Activation::Relu { cap } => {
                zip_map(delta, outputs, |delta, a| delta * relu_derivative(a, cap));
            }
            Activation::QuantisedTanh { levels } => {
                let middle = middle_of_part(levels);
                zip_map(delta, outputs, |delta, a| delta * tanh_derivative(a * middle));
            }
        },
    );
}

/// Replaces activation outputs by the derivative at the point where they were taken; 1 without an activation.
pub(crate) fn differentiate(activation: Option<Activation>, outputs: &mut [f32]) {
    match activation {
        Some(Activation::Tanh) => map(outputs, tanh_derivative),
        Some(Activation::Sigmoid) => map(outputs, sigmoid_derivative),
        Some(Activation::Relu { cap }) => map(outputs, |a| relu_derivative(a, cap)),
        Some(Activation::QuantisedTanh { levels }) => {
            let middle = middle_of_part(levels);
            map(outputs, |a| tanh_derivative(a * middle));
        }
        None => outputs.fill(1.0),
    }
}

/// Hyperbolic tangent with an absolute error below 5e-7 and |result| ≤ 1; NaN stays NaN.
#[inline(always)]
pub fn tanh(x: f32) -> f32 {
    let x = clamp(x, -TANH_SATURATION, TANH_SATURATION);
    let square = x * x;
    clamp(
        x * polynomial(&TANH_NUMERATOR, square) / polynomial(&TANH_DENOMINATOR, square),
        -1.0,
        1.0,
    )
}

/// Logistic function `1 / (1 + e^-x) = (1 + tanh(x/2)) / 2`, absolute error below 5e-7, within `[0, 1]`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

#[inline(always)]
fn clipped_relu(z: f32, cap: f32) -> f32 {
    clamp(z, 0.0, cap)
}

#[inline(always)]
fn tanh_derivative(output: f32) -> f32 {
    1.0 - output * output
}

/// What leads from a value of the quantised tanh to the middle of the part of tanh's range that it stands for.
fn middle_of_part(levels: u32) -> f32 {
    (levels as f32 - 1.0) / levels as f32
}

#[inline(always)]
fn sigmoid_derivative(output: f32) -> f32 {
    output * (1.0 - output)
}

#[inline(always)]
fn relu_derivative(output: f32, cap: f32) -> f32 {
    if output > 0.0 && output < cap { 1.0 } else { 0.0 }
}

/// `f32::clamp` that cannot panic; keeps NaN.
#[inline(always)]
fn clamp(x: f32, low: f32, high: f32) -> f32 {
    let raised = if x < low { low } else { x };
    if raised > high { high } else { raised }
}

#[inline(always)]
fn polynomial(ascending: &[f32; 7], x: f32) -> f32 {
    let [c0, c1, c2, c3, c4, c5, c6] = *ascending;
    (((((c6 * x + c5) * x + c4) * x + c3) * x + c2) * x + c1) * x + c0
}

const fn coefficients(exact: [u64; 7]) -> [f32; 7] {
    let mut rounded = [0.0; 7];
    let mut power = 0;
    while power < exact.len() {
        rounded[power] = (exact[power] as f64 / exact[0] as f64) as f32;
        power += 1;
    }
    rounded
}

fn map(values: &mut [f32], function: impl Fn(f32) -> f32) {
    Arch::new().dispatch(|| {
        for value in values.iter_mut() {
            *value = function(*value);
        }
    });
}

fn zip_map(values: &mut [f32], others: &[f32], function: impl Fn(f32, f32) -> f32) {
    Arch::new().dispatch(|| {
        for (value, &other) in values.iter_mut().zip(others) {
            *value = function(*value, other);
        }
    });
}

#[cfg(test)]
mod tests;
