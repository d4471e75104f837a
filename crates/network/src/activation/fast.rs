//! Non-linearities that vectorise: no call of a library, no fused multiply-add and no
//! reassociation, so that every machine computes the same bits.

/// Beyond this |x|, tanh x rounds to ±1 in `f32`.
const TANH_SATURATION: f32 = 9.02;

/// Numerator and denominator, in ascending powers of x², of `tanh x / x` by Lambert's continued
/// fraction `1 / (1 + x²/(3 + x²/(5 + …)))` cut after 13 terms, both divided by the constant term.
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

/// Logistic function `1 / (1 + e^-x) = (1 + tanh(x/2)) / 2`, absolute error below 5e-7, within
/// `[0, 1]`.
#[inline(always)]
pub fn sigmoid(x: f32) -> f32 {
    0.5 + 0.5 * tanh(0.5 * x)
}

/// `f32::clamp` that cannot panic; keeps NaN.
#[inline(always)]
pub(super) fn clamp(x: f32, low: f32, high: f32) -> f32 {
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

#[cfg(test)]
mod tests;
