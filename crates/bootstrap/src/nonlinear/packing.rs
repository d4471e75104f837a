//! Packing samples into one GLWE ciphertext by automorphisms (Chen, Dai, Kim & Song, "Efficient
//! homomorphic conversion between (ring) LWE ciphertexts", ACNS 2021).

use sphinx_evaluation_keys::Gadget;
use sphinx_linalg::{POLYNOMIAL_SIZE, ROW_WORDS};
use tfhe::core_crypto::fft_impl::fft64::c64;
use tfhe::core_crypto::fft_impl::fft64::math::polynomial::{
    FourierPolynomialMutView, FourierPolynomialOwned,
};
use tfhe::core_crypto::prelude::{
    ComputationBuffers, FftView, PolynomialMutView, PolynomialSize, PolynomialView,
    SignedDecomposer,
};

use crate::control::Control;
use crate::error::EvaluationError;
use crate::prepared::{FourierPackingKey, PreparedKeys};
use crate::sample::{Samples, embed};

/// A GLWE ciphertext: mask, then body.
type Row = Box<[u64; ROW_WORDS]>;

/// One ciphertext whose coefficient [`sphinx_evaluation_keys::logit_coefficient`] has the message
/// of each sample; up to N samples. The other coefficients are zero.
///
/// Adding a ciphertext to its image under an automorphism doubles the coefficients that it keeps
/// and cancels others. All log2 N of them multiply what is kept by N, so words are divided by N
/// first: with words as integers the phase is m + 2^64·I, a N-th of it comes back as m + 2^64·I,
/// and that is m.
///
/// # Errors
/// [`EvaluationError::Cancelled`], within one automorphism.
pub fn pack_samples(
    keys: &PreparedKeys,
    samples: &Samples,
    control: &Control<'_>,
) -> Result<Vec<u64>, EvaluationError> {
    let rows: Vec<Row> = samples
        .iter()
        .map(|sample| {
            let divided: Vec<u64> = sample.iter().map(|&word| divide(word)).collect();
            let mut row = empty();
            embed(&divided, &mut row);
            row
        })
        .collect();
    let mut packer = Packer::new(keys, control);
    let levels = rows.len().next_power_of_two().ilog2() as usize;
    let Some(mut packed) = packer.merge(&rows, 0, 0, levels)? else {
        return Ok(vec![0; ROW_WORDS]);
    };
    for index in (levels..POLYNOMIAL_SIZE.ilog2() as usize).rev() {
        let image = packer.image(&packed, index)?;
        add(&mut packed, &image);
    }
    Ok(packed.to_vec())
}

/// A N-th, rounded, of the word as a signed integer.
fn divide(word: u64) -> u64 {
    let shift = POLYNOMIAL_SIZE.ilog2();
    // The sum may wrap, to a value that differs by 2^64: a whole turn is as good.
    let rounded = word.wrapping_add(1 << (shift - 1)).cast_signed() >> shift;
    rounded.cast_unsigned()
}

fn empty() -> Row {
    Box::new([0; ROW_WORDS])
}

fn add(to: &mut Row, other: &Row) {
    to.iter_mut().zip(other.iter()).for_each(|(word, &add)| *word = word.wrapping_add(add));
}

struct Packer<'a> {
    control: &'a Control<'a>,
    key: &'a FourierPackingKey,
    gadget: Gadget,
    fft: FftView<'a>,
    buffers: ComputationBuffers,
    /// Digits of the mask, level by level.
    digits: Vec<Vec<u64>>,
    digit: FourierPolynomialOwned,
    sums: [FourierPolynomialOwned; 2],
}

impl<'a> Packer<'a> {
    fn new(keys: &'a PreparedKeys, control: &'a Control<'a>) -> Self {
        let gadget = keys.profile().parameters().packing;
        let fft = keys.fft().as_view();
        let mut buffers = ComputationBuffers::new();
        let scratch = fft.forward_scratch().or(fft.backward_scratch());
        buffers.resize(scratch.unaligned_bytes_required());
        let polynomial = || FourierPolynomialOwned::new(PolynomialSize(POLYNOMIAL_SIZE));
        Self {
            control,
            key: keys.packing(),
            gadget,
            fft,
            buffers,
            digits: vec![vec![0; POLYNOMIAL_SIZE]; gadget.levels],
            digit: polynomial(),
            sums: [polynomial(), polynomial()],
        }
    }

    /// Packs the rows whose index is `start` modulo 2^`depth`, at most 2^`levels`. The r-th of them
    /// ends at coefficient r · N / 2^levels; nothing if there is none.
    fn merge(
        &mut self,
        rows: &[Row],
        start: usize,
        depth: usize,
        levels: usize,
    ) -> Result<Option<Row>, EvaluationError> {
        let Some(level) = levels.checked_sub(1) else {
            return Ok(rows.get(start).cloned());
        };
        let Some(even) = self.merge(rows, start, depth + 1, level)? else {
            return Ok(None);
        };
        let odd = self.merge(rows, start + (1 << depth), depth + 1, level)?;
        let mut sum = even.clone();
        let mut difference = even;
        if let Some(odd) = odd {
            let shift = POLYNOMIAL_SIZE >> levels;
            for half in 0..2 {
                for place in 0..POLYNOMIAL_SIZE {
                    let word = odd[half * POLYNOMIAL_SIZE + place];
                    let target = place + shift;
                    let (target, word) = match target.checked_sub(POLYNOMIAL_SIZE) {
                        Some(target) => (target, word.wrapping_neg()),
                        None => (target, word),
                    };
                    let target = half * POLYNOMIAL_SIZE + target;
                    sum[target] = sum[target].wrapping_add(word);
                    difference[target] = difference[target].wrapping_sub(word);
                }
            }
        }
        let image = self.image(&difference, level)?;
        add(&mut sum, &image);
        Ok(Some(sum))
    }

    /// The image of a ciphertext under X → X^(2^(index + 1) + 1), switched back to the key itself.
    fn image(&mut self, row: &Row, index: usize) -> Result<Row, EvaluationError> {
        self.control.check()?;
        let exponent = (1 << (index + 1)) + 1;
        let mut image = empty();
        for (from, to) in
            row.chunks_exact(POLYNOMIAL_SIZE).zip(image.chunks_exact_mut(POLYNOMIAL_SIZE))
        {
            substitute(from, exponent, to);
        }
        let decomposer =
            SignedDecomposer::<u64>::new(self.gadget.base(), self.gadget.level_count());
        for (place, &word) in image[..POLYNOMIAL_SIZE].iter().enumerate() {
            for (digits, term) in self.digits.iter_mut().zip(decomposer.decompose(word)) {
                digits[place] = term.value();
            }
        }
        image[..POLYNOMIAL_SIZE].fill(0);
        self.sums.iter_mut().for_each(|sum| sum.data.fill(c64::default()));
        for (digits, key) in self.digits.iter().zip(self.key.levels(index)) {
            let digit = FourierPolynomialMutView { data: &mut self.digit.data };
            let digits = PolynomialView::from_container(&digits[..]);
            self.fft.forward_as_integer(digit, digits, self.buffers.stack());
            for (sum, key) in self.sums.iter_mut().zip(key) {
                let products = self.digit.data.iter().zip(key);
                sum.data.iter_mut().zip(products).for_each(|(sum, (a, b))| *sum += a * b);
            }
        }
        let mut product = vec![0u64; POLYNOMIAL_SIZE];
        for (to, sum) in image.chunks_exact_mut(POLYNOMIAL_SIZE).zip(&self.sums) {
            let polynomial = PolynomialMutView::from_container(&mut product[..]);
            self.fft.backward_as_torus(polynomial, sum.as_view(), self.buffers.stack());
            to.iter_mut().zip(&product).for_each(|(word, &less)| *word = word.wrapping_sub(less));
        }
        Ok(image)
    }
}

/// Puts X^exponent for X, exponent odd: coefficient i goes to i · exponent, with a changed sign
/// after odd turns.
fn substitute(from: &[u64], exponent: usize, to: &mut [u64]) {
    let size = from.len();
    for (place, &word) in from.iter().enumerate() {
        let target = place * exponent % (2 * size);
        if target < size {
            to[target] = word;
        } else {
            to[target - size] = word.wrapping_neg();
        }
    }
}
