//! Arithmetic modulo the Mersenne prime 2^61 - 1.

use rand::CryptoRng;

/// p = 2^61 - 1.
pub const PRIME: u64 = (1 << 61) - 1;

/// The residue of a number below 2^122, in [0, p).
#[inline(always)]
pub fn reduce(value: u128) -> u64 {
    // 2^61 ≡ 1: the high part is added to the low one.
    let folded = (value as u64 & PRIME) + (value >> 61) as u64;
    let folded = (folded & PRIME) + (folded >> 61);
    if folded >= PRIME { folded - PRIME } else { folded }
}

/// The residue of a signed number.
#[inline(always)]
pub fn residue(value: i128) -> u64 {
    let magnitude = reduce(value.unsigned_abs());
    if value < 0 && magnitude != 0 { PRIME - magnitude } else { magnitude }
}

/// Sum of two residues.
#[inline(always)]
pub fn add(a: u64, b: u64) -> u64 {
    let sum = a + b;
    if sum >= PRIME { sum - PRIME } else { sum }
}

/// `count` independent uniform residues, from a generator for secrets.
pub fn random(count: usize, rng: &mut impl CryptoRng) -> Vec<u64> {
    let mut next = || loop {
        let candidate = rng.next_u64() >> 3;
        // The one candidate that is no residue.
        if candidate < PRIME {
            return candidate;
        }
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn residues_are_remainders(value in any::<i128>()) {
            let value = value >> 8;
            prop_assert_eq!(i128::from(residue(value)), value.rem_euclid(i128::from(PRIME)));
        }

        #[test]
        fn sums_are_remainders(a in 0..PRIME, b in 0..PRIME) {
            let sum = (u128::from(a) + u128::from(b)) % u128::from(PRIME);
            prop_assert_eq!(u128::from(add(a, b)), sum);
        }
    }

    #[test]
    fn the_ends_of_the_range_are_zero() {
        let p = i128::from(PRIME);
        for value in [0, p, -p, 2 * p, p << 59] {
            assert_eq!(residue(value), 0, "{value}");
        }
    }
}
