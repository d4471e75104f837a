//! The training under attack.

use std::error::Error;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::{ClearTwin, Evaluator, Privacy, TrainingOptions, train_without_ledger};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_privacy::{Delta, PlanRequest, PrivacyPlan, Target};

use crate::capture::{Captured, tapped};

/// ε of the step under attack at δ = 10⁻⁵, the whole budget in one step that surely contains the
/// image.
pub const EPSILON: f64 = 3.0;
pub const CLIPPING_NORM: f32 = 0.1;
/// Private steps on all of MNIST before the attack: the server, which made the zero biases, does
/// not know them then.
pub const STEPS_BEFORE: u64 = 30;
/// Steps under attack leave the model nearly unchanged, so that all images meet the same one. A
/// power of two.
pub const ATTACKED_RATE: f32 = 1.0 / 64.0;

/// How the step is protected, from least to most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protection {
    /// Exact gradients, biases and their gradients in the clear: federated learning.
    ClearBiases,
    /// Exact gradients of the weights; biases and their gradients encrypted.
    None,
    /// The paper's variant.
    ExactBiases,
    /// Everything clipped and noised.
    Full,
}

/// What a step sends, with what the server holds, and with the truth about the biases.
pub struct Commit {
    /// At the version that the gradient was computed on.
    pub weights: Vec<Vec<f32>>,
    pub gradient: Vec<Vec<f32>>,
    pub biases: Vec<Vec<f32>>,
    pub bias_gradient: Vec<Vec<f32>>,
}

/// Per protection: every image alone, and all of them as one batch.
pub type Seen = Vec<(Protection, Vec<Commit>, Option<Commit>)>;

pub struct Victim {
    pub spec: NetworkSpec,
    pub images: Vec<Vec<f32>>,
    pub labels: Vec<u8>,
    /// All of MNIST's training images.
    pub earlier: Dataset,
    /// The images under attack, which the model has not seen.
    pub attacked: Dataset,
}

impl Protection {
    pub const ALL: [Self; 4] = [Self::ClearBiases, Self::None, Self::ExactBiases, Self::Full];

    pub fn title(self) -> &'static str {
        match self {
            Self::ClearBiases => "exact gradients, biases in the clear",
            Self::None => "exact gradients, biases encrypted (`--privacy none`)",
            Self::ExactBiases => "noised weights, exact encrypted biases (the paper)",
            Self::Full => "noised weights and biases (ours)",
        }
    }

    pub fn tag(self) -> &'static str {
        match self {
            Self::ClearBiases => "clear-biases",
            Self::None => "none",
            Self::ExactBiases => "paper",
            Self::Full => "ours",
        }
    }

    fn privacy(self) -> Result<Privacy, Box<dyn Error>> {
        let target = Target::new(EPSILON, Delta::new(1e-5)?)?;
        Ok(match self {
            Self::ClearBiases | Self::None => Privacy::None,
            Self::ExactBiases => Privacy::ExactBiases { target, clipping_norm: CLIPPING_NORM },
            Self::Full => Privacy::Budget { target, clipping_norm: CLIPPING_NORM },
        })
    }
}

impl Victim {
    pub fn new(spec: NetworkSpec, count: usize) -> Result<Self, Box<dyn Error>> {
        let TrainTest { train: earlier, test } = sphinx_mnist::load()?;
        let indices: Vec<usize> = (0..count).collect();
        let attacked = test.select(&indices)?;
        let images = (0..count).filter_map(|index| attacked.pixels(index)).collect();
        let labels = attacked.labels().to_vec();
        Ok(Self { spec, images, labels, earlier, attacked })
    }

    /// Noise multiplier of the steps under attack.
    pub fn sigma(&self) -> Result<f64, Box<dyn Error>> {
        let target = Target::new(EPSILON, Delta::new(1e-5)?)?;
        let request = PlanRequest {
            target,
            examples: 1,
            expected_batch: None,
            blocks: 1,
            copies: 1,
            epochs: 1.0,
        };
        Ok(PrivacyPlan::solve(&request)?.segment.noise_multiplier.get())
    }

    /// The training before: private, plain descent.
    pub fn options_before() -> Result<TrainingOptions, Box<dyn Error>> {
        let privacy = Protection::Full.privacy()?;
        Ok(TrainingOptions { epochs: 10.0, ..options(4.0, privacy) })
    }

    /// One step under attack.
    pub fn options(protection: Protection) -> Result<TrainingOptions, Box<dyn Error>> {
        Ok(options(ATTACKED_RATE, protection.privacy()?))
    }

    /// Trains on the earlier data for [`STEPS_BEFORE`] steps.
    pub fn prepare(&self, cloud: &mut dyn Evaluator) -> Result<(), Box<dyn Error>> {
        let options = Self::options_before()?;
        let mut stop = |progress: &sphinx_client::Progress| progress.step < STEPS_BEFORE;
        train_without_ledger(cloud, &self.spec, &self.earlier, &options, [1; 32], &mut stop)?;
        Ok(())
    }

    /// One step on `data` through `cloud`, whose parameters are `before`.
    pub fn attacked_step(
        &self,
        cloud: &mut dyn Evaluator,
        before: &[StageParameters],
        data: &Dataset,
        protection: Protection,
        seed: u8,
    ) -> Result<Commit, Box<dyn Error>> {
        let mut captured = Captured::default();
        let options = Self::options(protection)?;
        let mut tap = tapped(cloud, &mut captured);
        train_without_ledger(&mut tap, &self.spec, data, &options, [seed; 32], &mut |_| true)?;
        drop(tap);
        Ok(Commit {
            weights: before.iter().map(|stage| stage.weights.clone()).collect(),
            biases: before.iter().map(|stage| stage.biases.clone()).collect(),
            bias_gradient: captured.bias_gradient,
            gradient: captured.gradient,
        })
    }

    /// A data set of one of the attacked images.
    pub fn single(&self, index: usize) -> Result<Dataset, Box<dyn Error>> {
        Ok(self.attacked.select(&[index])?)
    }

    /// All of it on the twin in the clear, from one and the same model.
    pub fn observe_twin(&self) -> Result<Seen, Box<dyn Error>> {
        let plan = Plan::new(&self.spec)?;
        let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(5));
        let rule = Self::options_before()?.rule(self.earlier.len())?;
        let mut twin = ClearTwin::new(&plan, initial, rule)?;
        self.prepare(&mut twin)?;
        let model = twin.parameters().to_vec();
        let mut seen = Seen::new();
        for protection in Protection::ALL {
            let step = |data: &Dataset, seed| {
                let rule = Self::options(protection)?.rule(data.len())?;
                let mut twin = ClearTwin::new(&plan, model.clone(), rule)?;
                self.attacked_step(&mut twin, &model, data, protection, seed)
            };
            let singles =
                (0..self.images.len()).map(|index| step(&self.single(index)?, index as u8));
            let singles = singles.collect::<Result<_, _>>()?;
            seen.push((protection, singles, Some(step(&self.attacked, 100)?)));
        }
        Ok(seen)
    }
}

fn options(learning_rate: f32, privacy: Privacy) -> TrainingOptions {
    TrainingOptions {
        epochs: 1.0,
        blocks: 1,
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
        learning_rate,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy,
    }
}
