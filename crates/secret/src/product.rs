//! Products of public masks with the secret key in Z_q[X]/(X^N + 1).

use std::sync::Arc;

use sphinx_linalg::Word;
use tfhe_ntt::prime::largest_prime_in_arithmetic_progression64;
use tfhe_ntt::prime64::Plan;
use zeroize::Zeroizing;

/// A secret key in the domain of a number-theoretic transform, ready to be multiplied.
///
/// A mask of 32-bit words times a binary key has coefficients below 2^32 · N <= 2^43 in magnitude,
/// so one prime of 50 bits yields them exactly. 64-bit words are multiplied as two halves of 32
/// bits.
pub(crate) struct KeyProduct {
    plan: Transform,
    key: Zeroizing<Vec<u64>>,
}

/// The transform, which keys of one size share.
#[derive(Clone)]
pub(crate) struct Transform(Arc<Plan>);

impl Transform {
    /// For polynomials of `size` coefficients.
    pub(crate) fn new(size: usize) -> Option<Self> {
        let factor = 2 * size as u64;
        let prime = largest_prime_in_arithmetic_progression64(factor, 1, 1 << 49, 1 << 50)?;
        Some(Self(Arc::new(Plan::try_new(size, prime)?)))
    }

    /// A mask of 32-bit words in the domain of the transform.
    pub(crate) fn forward(&self, mask: &[u32], transformed: &mut [u64]) {
        transformed.iter_mut().zip(mask).for_each(|(to, &word)| *to = u64::from(word));
        self.0.fwd(transformed);
    }
}

impl KeyProduct {
    /// Transforms a binary key of N coefficients.
    pub(crate) fn new(coefficients: &[u8]) -> Option<Self> {
        Some(Self::with(Transform::new(coefficients.len())?, coefficients))
    }

    /// Transforms a binary key of N coefficients by a transform that is there.
    pub(crate) fn with(plan: Transform, coefficients: &[u8]) -> Self {
        let mut key: Zeroizing<Vec<u64>> =
            Zeroizing::new(coefficients.iter().map(|&bit| u64::from(bit)).collect());
        plan.0.fwd(&mut key);
        Self { plan, key }
    }

    /// Adds (or subtracts) mask · key to `body`, for a mask that is transformed already: of a mask
    /// that several keys share. `scratch` has N words and is wiped by the caller.
    pub(crate) fn accumulate_transformed(
        &self,
        mask: &[u64],
        subtract: bool,
        body: &mut [u32],
        scratch: &mut [u64],
    ) {
        scratch.copy_from_slice(mask);
        self.plan.0.mul_assign_normalize(scratch, &self.key);
        self.plan.0.inv(scratch);
        self.add_residues(scratch, 0, subtract, body);
    }

    /// Adds (or subtracts) mask · key to `body`, modulo q. `scratch` has N words and is wiped by
    /// the caller.
    pub(crate) fn accumulate<W: Word>(
        &self,
        mask: &[W],
        subtract: bool,
        body: &mut [W],
        scratch: &mut [u64],
    ) {
        let half = |word: u64, shift: u32| (word >> shift) & 0xffff_ffff;
        for shift in (0..W::BITS).step_by(32) {
            scratch.iter_mut().zip(mask).for_each(|(to, word)| *to = half(word.to_u64(), shift));
            self.plan.0.fwd(scratch);
            self.plan.0.mul_assign_normalize(scratch, &self.key);
            self.plan.0.inv(scratch);
            self.add_residues(scratch, shift, subtract, body);
        }
    }

    /// Lifts residues modulo the prime to signed integers and adds them, shifted, to `body`.
    fn add_residues<W: Word>(&self, residues: &[u64], shift: u32, subtract: bool, body: &mut [W]) {
        let prime = self.plan.0.modulus();
        let negative_from = prime / 2;
        for (word, &residue) in body.iter_mut().zip(residues) {
            let wrapped = if residue > negative_from { prime } else { 0 };
            let product = residue.wrapping_sub(wrapped) << shift;
            let product = if subtract { product.wrapping_neg() } else { product };
            *word = word.add(W::from_u64(product));
        }
    }
}
