//! Sums and special functions of numbers given by their natural logarithm.

use std::f64::consts::PI;

/// ln(eᵃ + eᵇ).
pub(crate) fn add(a: f64, b: f64) -> f64 {
    let (low, high) = if a < b { (a, b) } else { (b, a) };
    // The difference of equal infinities is no number.
    if low == f64::NEG_INFINITY || high == f64::INFINITY {
        high
    } else {
        high + (low - high).exp().ln_1p()
    }
}

/// ln(eᵃ − eᵇ), and −∞ where rounding made b the larger.
pub(crate) fn subtract(a: f64, b: f64) -> f64 {
    if b == f64::NEG_INFINITY {
        a
    } else if a <= b {
        f64::NEG_INFINITY
    } else {
        a + (-(b - a).exp()).ln_1p()
    }
}

/// ln(1 + eˣ).
pub(crate) fn one_plus_exp(x: f64) -> f64 {
    if x > 0.0 { x + (-x).exp().ln_1p() } else { x.exp().ln_1p() }
}

/// ln(eˣ − 1) for x > 0.
pub(crate) fn exp_minus_one(x: f64) -> f64 {
    x + (-(-x).exp_m1()).ln()
}

/// ln of the binomial coefficient n over k, for integers 0 ≤ k ≤ n given as f64.
pub(crate) fn binomial(n: f64, k: f64) -> f64 {
    libm::lgamma(n + 1.0) - libm::lgamma(k + 1.0) - libm::lgamma(n - k + 1.0)
}

/// ln erfc(x). Beyond x = 12, where erfc heads for underflow, by its asymptotic series
/// (Abramowitz & Stegun 7.1.23); the first term left out is below 1e-9 there.
pub(crate) fn erfc(x: f64) -> f64 {
    if x < 12.0 {
        return libm::erfc(x).ln();
    }
    let t = 1.0 / (2.0 * x * x);
    let series = -t * (1.0 - 3.0 * t * (1.0 - 5.0 * t * (1.0 - 7.0 * t)));
    -x * x - (x * PI.sqrt()).ln() + series.ln_1p()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn erfc_is_continuous_where_its_form_changes() {
        let (exact, series) = (libm::erfc(12.0).ln(), erfc(12.0));
        assert!((exact - series).abs() < 1e-8 * exact.abs(), "{exact} {series}");
        // erfc(30) = 2.56466e-393 (mpmath), below the smallest f64.
        let expected = 2.564_656_203_756_112_f64.ln() - 393.0 * 10f64.ln();
        assert!((erfc(30.0) - expected).abs() < 1e-9 * expected.abs());
    }

    #[test]
    fn sums_and_differences_agree_with_plain_arithmetic() {
        assert!((add(2f64.ln(), 3f64.ln()) - 5f64.ln()).abs() < 1e-15);
        assert!((subtract(5f64.ln(), 3f64.ln()) - 2f64.ln()).abs() < 1e-15);
        assert_eq!(subtract(1.0, 1.0), f64::NEG_INFINITY);
        let (none, all) = (f64::NEG_INFINITY, f64::INFINITY);
        assert_eq!([add(all, all), add(1.0, all), add(all, none)], [all; 3]);
        assert_eq!([add(none, none), add(none, 1.0)], [none, 1.0]);
        assert!((exp_minus_one(0.5) - 0.5f64.exp_m1().ln()).abs() < 1e-15);
        assert!((one_plus_exp(800.0) - 800.0).abs() < 1e-12);
        assert!((binomial(60.0, 3.0) - 34_220f64.ln()).abs() < 1e-12);
    }
}
