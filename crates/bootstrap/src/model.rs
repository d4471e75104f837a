//! A network with its encrypted biases, and its evaluation.

use std::sync::Arc;
use std::time::Instant;

use sphinx_evaluation_keys::{
    ANSWER_BODY_WIDTH, ANSWER_MASK_WIDTH, Answer, Query, logit_coefficient,
};
use sphinx_linalg::{BIAS_SCALE_LOG2, EncryptedBiases, POLYNOMIAL_SIZE, pack};

use crate::control::{Control, Step};
use crate::error::EvaluationError;
use crate::network::{LayerMap, OneShotNetwork};
use crate::nonlinear::{look_up, pack_samples, switch_keys};
use crate::prepared::PreparedKeys;
use crate::sample::{SAMPLE_WORDS, Samples, extract};

/// One version of a model, ready for queries.
#[derive(Debug)]
pub struct OneShotModel {
    network: Arc<OneShotNetwork>,
    /// Biases of every layer as samples at its scale.
    biases: Vec<Samples>,
}

impl OneShotModel {
    /// Brings the biases of every stage to its scale.
    ///
    /// A bias is 2^48 integers per unit in coefficient 0 of a ciphertext under the client's key,
    /// like a query's input. Extracted and times an integer, it can be added to a sample of the
    /// layer.
    ///
    /// # Errors
    /// [`EvaluationError::Biases`] if there is not one per output channel of each stage.
    pub fn new(
        network: Arc<OneShotNetwork>,
        biases: &[EncryptedBiases],
    ) -> Result<Self, EvaluationError> {
        let layers = network.layers();
        if biases.len() != layers.len() {
            let (got, expected) = (biases.len(), layers.len());
            return Err(EvaluationError::Biases { stage: expected, got, expected });
        }
        let mut samples = Vec::with_capacity(layers.len());
        for (stage, (layer, biases)) in layers.iter().zip(biases).enumerate() {
            let expected = layer.outputs / layer.per_bias;
            if biases.len() != expected {
                return Err(EvaluationError::Biases { stage, got: biases.len(), expected });
            }
            let mut scaled = Samples::zero(expected);
            let factor = layer.bias_factor();
            for (index, sample) in scaled.words_mut().chunks_exact_mut(SAMPLE_WORDS).enumerate() {
                let (mask, body) = biases.row(index).split_at(POLYNOMIAL_SIZE);
                extract(mask, body[0], 0, sample);
                sample.iter_mut().for_each(|word| *word = word.wrapping_mul(factor));
            }
            samples.push(scaled);
        }
        Ok(Self { network, biases: samples })
    }

    /// For a model whose biases are no secret, one per output channel of each stage, in units.
    ///
    /// # Errors
    /// [`EvaluationError::Biases`] if there are more or fewer.
    pub fn in_the_clear<B: AsRef<[f32]>>(
        network: Arc<OneShotNetwork>,
        biases: &[B],
    ) -> Result<Self, EvaluationError> {
        let layers = network.layers();
        if biases.len() != layers.len() {
            let (got, expected) = (biases.len(), layers.len());
            return Err(EvaluationError::Biases { stage: expected, got, expected });
        }
        let mut samples = Vec::with_capacity(layers.len());
        for (stage, (layer, biases)) in layers.iter().zip(biases).enumerate() {
            let (got, expected) = (biases.as_ref().len(), layer.outputs / layer.per_bias);
            if got != expected {
                return Err(EvaluationError::Biases { stage, got, expected });
            }
            let mut scaled = Samples::zero(expected);
            let rows = scaled.words_mut().chunks_exact_mut(SAMPLE_WORDS);
            for (sample, &bias) in rows.zip(biases.as_ref()) {
                // A mask of zeros: the body is the message.
                let integer = (f64::from(bias) * f64::from(BIAS_SCALE_LOG2).exp2()).round() as i64;
                let word = integer.cast_unsigned().wrapping_mul(layer.bias_factor());
                sample[POLYNOMIAL_SIZE] = word;
            }
            samples.push(scaled);
        }
        Ok(Self { network, biases: samples })
    }

    /// The network.
    pub fn network(&self) -> &Arc<OneShotNetwork> {
        &self.network
    }

    /// Bytes that the scaled biases occupy.
    pub fn bytes(&self) -> usize {
        self.biases.iter().map(|biases| size_of_val(biases.words())).sum()
    }

    /// Encrypted logits of a query. Blocks until done; parallel on the current pool (run it inside
    /// a pool of the width that is wanted).
    ///
    /// # Errors
    /// [`EvaluationError`]: cancelled, or the query or the keys do not fit.
    pub fn evaluate(
        &self,
        keys: &PreparedKeys,
        query: &Query,
        control: &Control<'_>,
    ) -> Result<Answer, EvaluationError> {
        query.check(self.network.layout())?;
        if !self.network.served_by(keys.profile()) {
            let (got, expected) = (keys.profile().name(), self.network.profile().name());
            return Err(EvaluationError::Profile { got, expected });
        }
        let mut samples = Samples::zero(0);
        for index in 0..self.network.layers().len() {
            let start = Instant::now();
            samples = self.linear(index, query, &samples, control)?;
            control.done(index, Step::Linear, samples.len(), start.elapsed());
            control.check()?;
            if let Some(lookup) = &self.network.layers()[index].lookup {
                let start = Instant::now();
                let switched = switch_keys(keys, &samples, control)?;
                control.done(index, Step::KeySwitching, samples.len(), start.elapsed());
                let start = Instant::now();
                samples = look_up(keys, &switched, lookup.words(), control)?;
                control.done(index, Step::Rotation, samples.len(), start.elapsed());
            }
        }
        let start = Instant::now();
        let answer = self.answer(&pack_samples(keys, &samples, control)?);
        control.done(self.biases.len() - 1, Step::Packing, samples.len(), start.elapsed());
        Ok(answer)
    }

    /// Linear layer `index` with its biases: of the query for the first layer, else of the samples
    /// before.
    ///
    /// # Errors
    /// [`EvaluationError::Cancelled`], within one product of polynomials or one sum.
    pub fn linear(
        &self,
        index: usize,
        query: &Query,
        samples: &Samples,
        control: &Control<'_>,
    ) -> Result<Samples, EvaluationError> {
        let layer = &self.network.layers()[index];
        let mut outputs = match &layer.map {
            LayerMap::First(first) => first.evaluate(query, control),
            LayerMap::Later(combination) => combination.evaluate(samples, control),
        };
        control.check()?;
        let biases: Vec<&[u64]> = self.biases[index].iter().collect();
        let rows = outputs.words_mut().chunks_exact_mut(SAMPLE_WORDS);
        for (place, (sample, &constant)) in rows.zip(&layer.constants).enumerate() {
            let bias = biases[place / layer.per_bias];
            sample.iter_mut().zip(bias).for_each(|(word, &add)| *word = word.wrapping_add(add));
            let body = &mut sample[POLYNOMIAL_SIZE];
            *body = body.wrapping_add(constant);
        }
        Ok(outputs)
    }

    fn answer(&self, packed: &[u64]) -> Answer {
        let (mask_words, body_words) = packed.split_at(POLYNOMIAL_SIZE);
        let classes = self.network.classes();
        let logits: Vec<u64> =
            (0..classes).map(|class| body_words[logit_coefficient(class, classes)]).collect();
        let mut mask = vec![0; POLYNOMIAL_SIZE * ANSWER_MASK_WIDTH.bytes()];
        pack(mask_words, ANSWER_MASK_WIDTH, &mut mask);
        let mut bodies = vec![0; classes * ANSWER_BODY_WIDTH.bytes()];
        pack(&logits, ANSWER_BODY_WIDTH, &mut bodies);
        Answer { mask, bodies, scale: self.network.logit_scale() }
    }
}
