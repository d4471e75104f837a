//! The first layer: products of the query with reversed weight polynomials, one per output channel
//! and ciphertext.

use rayon::prelude::*;
use sphinx_evaluation_keys::{Query, QueryLayout};
use sphinx_linalg::POLYNOMIAL_SIZE;
use sphinx_network::FoldedStage;

use super::transform::{Transform, TransformedWords};
use crate::control::Control;
use crate::sample::{SAMPLE_WORDS, Samples, extract};

/// Integer weights of the first layer, transformed once.
///
/// Coefficient p of the query times Σ w_t · X^-t is Σ w_t · x_(p + t): with t the place of a kernel
/// tap, the result of a convolution at shift p. All results of a channel are coefficients of one
/// product.
pub(crate) struct FirstLayer {
    transform: Transform,
    channels: Vec<Channel>,
    shifts: Vec<usize>,
}

struct Channel {
    /// A multiplier per ciphertext.
    transformed: Vec<Vec<u64>>,
    /// Places count through all ciphertexts.
    taps: Vec<(usize, i32)>,
}

impl FirstLayer {
    /// From integer weights, `[output][tap]`.
    pub(crate) fn new(
        transform: Transform,
        layout: &QueryLayout,
        shape: FoldedStage,
        weights: &[i32],
    ) -> Self {
        let taps: Vec<usize> = shape.taps().collect();
        let (share, ciphertexts) = (layout.share(), layout.ciphertexts());
        let channels = weights.par_chunks_exact(taps.len()).map(|row| {
            let nonzero = taps.iter().copied().zip(row.iter().copied()).filter(|tap| tap.1 != 0);
            let taps: Vec<(usize, i32)> = nonzero.collect();
            let of = |ciphertext: usize| {
                let own = taps.iter().filter(|tap| tap.0 / share == ciphertext);
                transform.reversed(own.map(|tap| (tap.0 % share, tap.1)))
            };
            Channel { transformed: (0..ciphertexts).map(of).collect(), taps }
        });
        let channels = channels.collect();
        Self { transform, channels, shifts: shape.shifts().collect() }
    }

    /// Number of results.
    pub(crate) fn outputs(&self) -> usize {
        self.channels.len() * self.shifts.len()
    }

    /// How far each result's place in a product is from the first.
    pub(crate) fn shifts(&self) -> &[usize] {
        &self.shifts
    }

    /// The kernels in the clear, from their first to their last tap.
    pub(crate) fn kernels(&self) -> Vec<Vec<f64>> {
        let kernel = |channel: &Channel| {
            let reach = channel.taps.iter().map(|tap| tap.0 + 1).max().unwrap_or(0);
            let mut kernel = vec![0.0; reach];
            channel.taps.iter().for_each(|&(tap, weight)| kernel[tap] = f64::from(weight));
            kernel
        };
        self.channels.iter().map(kernel).collect()
    }

    /// The squared norm of every result's weights.
    pub(crate) fn squared_norms(&self) -> Vec<f64> {
        let norm = |channel: &Channel| -> f64 {
            channel.taps.iter().map(|tap| f64::from(tap.1).powi(2)).sum()
        };
        let norms = self.channels.iter().map(norm);
        norms.flat_map(|norm| std::iter::repeat_n(norm, self.shifts.len())).collect()
    }

    /// Bytes of the transformed weights.
    pub(crate) fn bytes(&self) -> usize {
        let words = |channel: &Channel| -> usize {
            channel.transformed.iter().map(|words| size_of_val(&words[..])).sum()
        };
        self.channels.iter().map(words).sum()
    }

    /// One sample per result, channel by channel. Parallel over channels; incomplete once the
    /// caller wants to stop.
    pub(crate) fn evaluate(&self, query: &Query, control: &Control<'_>) -> Samples {
        self.products(query.masks(), &query.body(), control)
    }

    /// The same of the masks of all ciphertexts, N words each, and their bodies.
    pub(crate) fn products(
        &self,
        masks: impl Iterator<Item = Vec<u64>>,
        body: &[u64],
        control: &Control<'_>,
    ) -> Samples {
        let masks: Vec<TransformedWords> = masks.map(|mask| self.transform.words(&mask)).collect();
        let mut samples = Samples::zero(self.outputs());
        let per_channel = self.shifts.len() * SAMPLE_WORDS;
        samples.words_mut().par_chunks_exact_mut(per_channel).zip(&self.channels).for_each_init(
            || (vec![0; POLYNOMIAL_SIZE], vec![0; POLYNOMIAL_SIZE]),
            |(scratch, product), (samples, channel)| {
                if control.is_cancelled() {
                    return;
                }
                self.transform.product(&masks, &channel.transformed, scratch, product);
                for (sample, &shift) in samples.chunks_exact_mut(SAMPLE_WORDS).zip(&self.shifts) {
                    let taps = channel.taps.iter();
                    let sum = taps.fold(0u64, |sum, &(tap, weight)| {
                        let weight = i64::from(weight).cast_unsigned();
                        sum.wrapping_add(body[shift + tap].wrapping_mul(weight))
                    });
                    extract(product, sum, shift, sample);
                }
            },
        );
        samples
    }
}
