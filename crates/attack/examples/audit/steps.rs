//! Full-batch training steps from the client's own parts, with one example in the data or not.

use std::error::Error;
use std::sync::Arc;

use rand::CryptoRng;
use sphinx_client::data::Dataset;
use sphinx_gradient::{BlockGradient, BlockPass, ClearStage, Clipping, SLOT_GROUP, Tensor};
use sphinx_network::{LayerSpec, NetworkSpec, Plan, Shape, StageParameters};
use sphinx_privacy::{GaussianMechanism, MechanismSpec, NoiseMultiplier};

/// What goes through the mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Variant {
    /// Weights and biases.
    Ours,
    /// The weights; the biases' gradients stay exact, and are encrypted.
    Paper,
}

impl Variant {
    pub fn title(self) -> &'static str {
        match self {
            Self::Ours => "ours",
            Self::Paper => "exact biases (the paper)",
        }
    }
}

/// Average pooling to 7 × 7, 49 → 32 · tanh · 32 → 10: trains in a millisecond a step.
pub fn small_network() -> NetworkSpec {
    NetworkSpec {
        name: "pooled-mlp".to_owned(),
        bias_bound: NetworkSpec::DEFAULT_BIAS_BOUND,
        input: Shape::new(1, 28, 28),
        layers: vec![
            LayerSpec::AvgPool { size: 4 },
            LayerSpec::Dense { outputs: 32 },
            LayerSpec::Tanh,
            LayerSpec::Dense { outputs: 10 },
        ],
    }
}

/// Examples, the last of which is in the data or not, and how they are trained on.
pub struct Neighbours {
    plan: Arc<Plan>,
    layers: Vec<ClearStage>,
    images: Tensor,
    labels: Vec<Option<u8>>,
    pub examples: usize,
    pub clipping_norm: f32,
    pub rate: f32,
    pub variant: Variant,
}

/// A sum that a step released: what the server sees, and what it does not.
pub struct Released {
    pub weights: Vec<Vec<f64>>,
    pub biases: Vec<Vec<f64>>,
}

impl Neighbours {
    /// The first examples of `data`, then the first with another label, shown as if it were
    /// `wrong`.
    pub fn new(
        plan: Plan,
        data: &Dataset,
        examples: usize,
        (clipping_norm, rate): (f32, f32),
        variant: Variant,
    ) -> Result<Self, Box<dyn Error>> {
        let indices: Vec<usize> = (0..=examples).collect();
        let slots = indices.len().next_multiple_of(SLOT_GROUP);
        let images = Tensor::new(data.shape().len(), slots, data.tensor(&indices, slots)?)?;
        let mut labels = vec![None; slots];
        for (label, &index) in labels.iter_mut().zip(&indices) {
            *label = data.labels().get(index).copied();
        }
        // The example in question is mislabelled: rare, and hard to learn.
        labels[examples] = labels[examples].map(|label| (label + 1) % 10);
        let layers = plan.stages.iter().map(ClearStage::new).collect();
        let plan = Arc::new(plan);
        Ok(Self { plan, layers, images, labels, examples, clipping_norm, rate, variant })
    }

    /// The sum over the data, with the example in question or without.
    pub fn sum(
        &self,
        parameters: &[StageParameters],
        with: bool,
    ) -> Result<BlockGradient, Box<dyn Error>> {
        let mut labels = self.labels.clone();
        if !with {
            labels[self.examples] = None;
        }
        let mut pass = BlockPass::new(Arc::clone(&self.plan), &self.images, &labels)?;
        for (stage, layer) in self.layers.iter().enumerate() {
            let z = layer.forward(&parameters[stage], pass.input(stage)?)?;
            pass.absorb(stage, z)?;
        }
        for (stage, layer) in self.layers.iter().enumerate().skip(1).rev() {
            let e = layer.backward(&parameters[stage], &pass.delta(stage)?.tensor)?;
            pass.absorb_backward(stage, e)?;
        }
        Ok(pass.clipped_gradient(match self.variant {
            Variant::Ours => Clipping::Flat(self.clipping_norm),
            Variant::Paper => Clipping::Weights(self.clipping_norm),
        })?)
    }

    /// The mechanism, which covers what the variant noises.
    pub fn mechanism(&self, noise: NoiseMultiplier) -> Result<GaussianMechanism, Box<dyn Error>> {
        let biases = match self.variant {
            Variant::Ours => self.plan.bias_count(),
            Variant::Paper => 0,
        };
        Ok(GaussianMechanism::new(MechanismSpec {
            clipping_norm: f64::from(self.clipping_norm),
            noise_multiplier: noise,
            dimension: self.plan.weight_count() + biases,
            slack: MechanismSpec::group_slack(1, 1),
        })?)
    }

    /// Noise on what the variant noises.
    pub fn release(
        &self,
        sum: &BlockGradient,
        mechanism: &GaussianMechanism,
        rng: &mut impl CryptoRng,
    ) -> Result<Released, Box<dyn Error>> {
        let flat: Vec<f64> = sum.weights.iter().chain(&sum.biases).flatten().copied().collect();
        let (noised, exact) = flat.split_at(mechanism.spec().dimension.min(flat.len()));
        let released = mechanism.release(noised, rng)?;
        let mut values: Vec<f64> = released.as_slice().iter().copied().map(f64::from).collect();
        values.extend(exact);
        let mut values = values.into_iter();
        let mut take = |like: &Vec<Vec<f64>>| -> Vec<Vec<f64>> {
            like.iter().map(|stage| values.by_ref().take(stage.len()).collect()).collect()
        };
        Ok(Released { weights: take(&sum.weights), biases: take(&sum.biases) })
    }

    /// Plain descent along sums, divided by the same number whether the example is in or not;
    /// biases are kept within their bound, as the client does.
    pub fn step(
        &self,
        parameters: &[StageParameters],
        weights: &[Vec<f64>],
        biases: &[Vec<f64>],
    ) -> Vec<StageParameters> {
        let rate = self.rate / self.examples as f32;
        let bound = NetworkSpec::DEFAULT_BIAS_BOUND;
        let descend = |values: &[f32], sums: &[f64]| -> Vec<f32> {
            values.iter().zip(sums).map(|(value, sum)| value - rate * *sum as f32).collect()
        };
        let stages = parameters.iter().zip(weights).zip(biases);
        stages
            .map(|((stage, weights), biases)| StageParameters {
                weights: descend(&stage.weights, weights),
                biases: descend(&stage.biases, biases)
                    .into_iter()
                    .map(|bias| bias.clamp(-bound, bound))
                    .collect(),
            })
            .collect()
    }
}
