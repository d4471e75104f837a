//! One image, one round per linear layer.

use crate::error::ClientError;
use crate::recognition::{Recogniser, Ticket};

/// What the network says about an image. `Debug` shows nothing of it.
#[derive(Clone, PartialEq)]
pub struct Prediction {
    /// The class with the largest logit.
    pub class: usize,
    /// Probability of each class: softmax of the logits.
    pub probabilities: Vec<f32>,
    /// The network's outputs.
    pub logits: Vec<f32>,
}

impl Recogniser {
    /// Recognises one image (pixels in [0, 1], channel by channel), using up a ticket.
    ///
    /// The logits are exactly those of `sphinx_quantise::QuantisedNetwork` with the same
    /// parameters. A lost connection is repaired and the round repeated, by whichever replica
    /// answers.
    ///
    /// # Errors
    /// [`crate::RecognitionError`] if image or ticket do not fit the model, or the answer's version
    /// not the ticket; [`crate::StateError::WrongProduct`] if the answer to a layer was wrong: that
    /// is final, all tickets of the model go and nothing is sent for it any more; otherwise what
    /// the connection says. The ticket is spent in any case.
    pub async fn infer(&self, ticket: Ticket, image: &[f32]) -> Result<Prediction, ClientError> {
        let predictions = self.infer_batch(vec![ticket], &[image]).await?;
        predictions.into_iter().next().ok_or_else(|| self.inference.protocol("no image", "one"))
    }
}

impl Prediction {
    pub(crate) fn new(logits: Vec<f32>) -> Self {
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = logits.iter().map(|logit| (logit - largest).exp()).collect();
        let sum: f32 = weights.iter().sum();
        Self {
            class: logits.iter().position(|&logit| logit == largest).unwrap_or_default(),
            probabilities: weights.iter().map(|weight| weight / sum).collect(),
            logits,
        }
    }

    /// Whether the class has a probability below `least`: then nothing should be built on it.
    pub fn is_unsure(&self, least: f32) -> bool {
        self.probability() < least
    }

    /// Probability of the predicted class.
    pub fn probability(&self) -> f32 {
        self.probabilities.get(self.class).copied().unwrap_or_default()
    }
}

impl std::fmt::Debug for Prediction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Prediction(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_are_the_softmax_of_the_logits() {
        let prediction = Prediction::new(vec![1000.0, 1000.0 + 3f32.ln(), 0.0]);
        assert_eq!(prediction.class, 1);
        assert!((prediction.probability() - 0.75).abs() < 1e-4);
        assert!((prediction.probabilities[0] - 0.25).abs() < 1e-4);
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Prediction::new(vec![0.5, 0.25])), "Prediction(..)");
    }
}
