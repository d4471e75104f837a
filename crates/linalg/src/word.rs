//! Words of ciphertexts: integers modulo 2^32 or 2^64, and the vectors the kernels compute with.

use pulp::Simd;

/// An unsigned word with wrapping arithmetic, in one of the two moduli.
pub trait Word:
    Copy
    + Default
    + Eq
    + Send
    + Sync
    + std::fmt::Debug
    + pulp::bytemuck::Pod
    + zeroize::DefaultIsZeroes
    + 'static
{
    /// Log2 of the modulus.
    const BITS: u32;
    /// A register of words.
    type Vector<S: Simd>: Copy;

    /// The residue of a signed weight.
    fn from_weight(weight: i32) -> Self;
    /// The residue of a signed integer.
    fn from_signed(value: i64) -> Self;
    /// The representative in [-q/2, q/2).
    fn to_signed(self) -> i64;
    /// Sum modulo q.
    fn add(self, other: Self) -> Self;
    /// Product modulo q.
    fn mul(self, other: Self) -> Self;
    /// The bits that both have.
    fn and(self, other: Self) -> Self;
    /// The word as a 64-bit integer, zero-extended.
    fn to_u64(self) -> u64;
    /// The low bits of a 64-bit integer.
    fn from_u64(value: u64) -> Self;
    /// Whole registers of a slice whose length is a multiple of the register's.
    fn vectors<S: Simd>(words: &[Self]) -> &[Self::Vector<S>];
    /// Like [`Word::vectors`], mutably.
    fn vectors_mut<S: Simd>(words: &mut [Self]) -> &mut [Self::Vector<S>];
    /// All lanes equal.
    fn splat<S: Simd>(simd: S, word: Self) -> Self::Vector<S>;
    /// acc + a * b, lane by lane.
    fn multiply_add<S: Simd>(
        simd: S,
        acc: Self::Vector<S>,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
    ) -> Self::Vector<S>;
}

impl Word for u32 {
    const BITS: u32 = 32;
    type Vector<S: Simd> = S::u32s;

    #[inline(always)]
    fn from_weight(weight: i32) -> Self {
        weight.cast_unsigned()
    }
    #[inline(always)]
    fn from_signed(value: i64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn to_signed(self) -> i64 {
        i64::from(self.cast_signed())
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }
    #[inline(always)]
    fn to_u64(self) -> u64 {
        u64::from(self)
    }
    #[inline(always)]
    fn from_u64(value: u64) -> Self {
        value as Self
    }
    #[inline(always)]
    fn vectors<S: Simd>(words: &[Self]) -> &[Self::Vector<S>] {
        S::as_simd_u32s(words).0
    }
    #[inline(always)]
    fn vectors_mut<S: Simd>(words: &mut [Self]) -> &mut [Self::Vector<S>] {
        S::as_mut_simd_u32s(words).0
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, word: Self) -> Self::Vector<S> {
        simd.splat_u32s(word)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(
        simd: S,
        acc: Self::Vector<S>,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
    ) -> Self::Vector<S> {
        simd.add_u32s(acc, simd.mul_u32s(a, b))
    }
}

impl Word for u64 {
    const BITS: u32 = 64;
    type Vector<S: Simd> = S::u64s;

    #[inline(always)]
    fn from_weight(weight: i32) -> Self {
        i64::from(weight).cast_unsigned()
    }
    #[inline(always)]
    fn from_signed(value: i64) -> Self {
        value.cast_unsigned()
    }
    #[inline(always)]
    fn to_signed(self) -> i64 {
        self.cast_signed()
    }
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        self.wrapping_add(other)
    }
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        self.wrapping_mul(other)
    }
    #[inline(always)]
    fn and(self, other: Self) -> Self {
        self & other
    }
    #[inline(always)]
    fn to_u64(self) -> u64 {
        self
    }
    #[inline(always)]
    fn from_u64(value: u64) -> Self {
        value
    }
    #[inline(always)]
    fn vectors<S: Simd>(words: &[Self]) -> &[Self::Vector<S>] {
        S::as_simd_u64s(words).0
    }
    #[inline(always)]
    fn vectors_mut<S: Simd>(words: &mut [Self]) -> &mut [Self::Vector<S>] {
        S::as_mut_simd_u64s(words).0
    }
    #[inline(always)]
    fn splat<S: Simd>(simd: S, word: Self) -> Self::Vector<S> {
        simd.splat_u64s(word)
    }
    #[inline(always)]
    fn multiply_add<S: Simd>(
        simd: S,
        acc: Self::Vector<S>,
        a: Self::Vector<S>,
        b: Self::Vector<S>,
    ) -> Self::Vector<S> {
        simd.add_u64s(acc, simd.mul_u64s(a, b))
    }
}
