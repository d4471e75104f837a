//! Numbers that carry a directional derivative.

use std::ops::{Add, AddAssign, Mul, Sub};

/// What a network is evaluated on: plain numbers, or [`Dual`] ones.
pub(crate) trait Number:
    Copy + Send + Sync + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + AddAssign
{
    /// A number that does not vary.
    fn constant(value: f64) -> Self;
    fn exp(self) -> Self;
    fn ln(self) -> Self;
    fn recip(self) -> Self;
    fn tanh(self) -> Self;
    /// The number without its derivative.
    fn value(self) -> f64;
}

/// `value + tangent · ε` with ε² = 0: a number and its derivative along one direction (forward
/// mode).
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Dual {
    pub value: f64,
    pub tangent: f64,
}

impl Dual {
    fn chain(value: f64, derivative: f64, inner: Self) -> Self {
        Self { value, tangent: derivative * inner.tangent }
    }
}

impl Add for Dual {
    type Output = Self;

    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, tangent: self.tangent + other.tangent }
    }
}

impl Sub for Dual {
    type Output = Self;

    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, tangent: self.tangent - other.tangent }
    }
}

impl Mul for Dual {
    type Output = Self;

    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        let tangent = self.value * other.tangent + self.tangent * other.value;
        Self { value: self.value * other.value, tangent }
    }
}

impl AddAssign for Dual {
    #[inline(always)]
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Number for Dual {
    fn constant(value: f64) -> Self {
        Self { value, tangent: 0.0 }
    }

    fn exp(self) -> Self {
        let value = self.value.exp();
        Self::chain(value, value, self)
    }

    fn ln(self) -> Self {
        Self::chain(self.value.ln(), self.value.recip(), self)
    }

    fn recip(self) -> Self {
        let value = self.value.recip();
        Self::chain(value, -value * value, self)
    }

    fn tanh(self) -> Self {
        let value = self.value.tanh();
        Self::chain(value, 1.0 - value * value, self)
    }

    fn value(self) -> f64 {
        self.value
    }
}

impl Number for f64 {
    fn constant(value: f64) -> Self {
        value
    }

    fn exp(self) -> Self {
        self.exp()
    }

    fn ln(self) -> Self {
        self.ln()
    }

    fn recip(self) -> Self {
        self.recip()
    }

    fn tanh(self) -> Self {
        self.tanh()
    }

    fn value(self) -> f64 {
        self
    }
}
