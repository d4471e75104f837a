//! What differential privacy costs the client in one training step: clipping, noise, accounting.

use std::sync::Arc;
use std::time::Instant;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sphinx_client::{ClientError, Privacy, TrainingOptions};
use sphinx_gradient::{BlockPass, ClearStage, Clipping, Tensor};
use sphinx_linalg::{BIAS_WIDTH, SEED_BYTES, SLOTS};
use sphinx_network::{NetworkSpec, Plan, Stage, initial_parameters};
use sphinx_privacy::ledger::{Binding, Charge, Entry, Ledger, PrivacyUnit};
use sphinx_privacy::{GaussianMechanism, MechanismSpec, PlanRequest, PrivacyPlan, Target};

use crate::error::CliError;

/// Each part is done so often, and the fastest counts: what else runs on the machine only ever
/// adds.
const REPETITIONS: usize = 9;

/// Milliseconds per step on one block, whatever the batch drawn. The parts are those of
/// [`sphinx_client`]'s training, measured on their own with tensors of the network's shapes.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct DpMillis {
    /// The clipped sum of gradients less the sum of exact training, which takes the same way
    /// through every example's gradient.
    clipping: f64,
    /// The whole clipped sum, for comparison: more than clipping can cost.
    clipped_gradient: f64,
    /// Noise on all weights and biases.
    noise: f64,
    /// A step's record in the ledger, on the disk, its confirmation, and the ε spent so far.
    accounting: f64,
}

impl DpMillis {
    /// All parts over what a whole step takes.
    pub fn share(&self, step_millis: f64) -> f64 {
        (self.clipping + self.noise + self.accounting) / step_millis
    }

    /// The same with the whole clipped sum, as if exact training needed no gradient.
    pub fn share_at_most(&self, step_millis: f64) -> f64 {
        (self.clipped_gradient + self.noise + self.accounting) / step_millis
    }
}

/// Measures the parts for a network, trained by private options.
pub fn measure(
    spec: &NetworkSpec,
    options: &TrainingOptions,
    examples: usize,
) -> Result<DpMillis, CliError> {
    let Privacy::Budget { target, clipping_norm } = options.privacy else {
        return Err(CliError::Usage("only private training has this overhead".to_owned()));
    };
    let plan = Arc::new(Plan::new(spec)?);
    let privacy = PrivacyPlan::solve(&PlanRequest {
        target,
        examples: examples as u64,
        expected_batch: options.batch,
        blocks: options.blocks,
        copies: 1,
        epochs: options.epochs,
    })?;
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let pass = pass(&plan, privacy.expected_batch as usize, &mut rng)?;
    let gradient = |clipping| fastest(|| Ok(pass.clipped_gradient(clipping)?));
    let clipped_gradient = gradient(Clipping::Flat(clipping_norm))?;
    let clipping = (clipped_gradient - gradient(Clipping::None)?).max(0.0);
    let noise = noise(&plan, &privacy, clipping_norm, &mut rng)?;
    let accounting = accounting(&plan, &privacy, clipping_norm)?;
    Ok(DpMillis { clipping, clipped_gradient, noise, accounting })
}

/// A pass on random inputs, up to the gradients.
fn pass(
    plan: &Arc<Plan>,
    examples: usize,
    rng: &mut ChaCha20Rng,
) -> Result<BlockPass, ClientError> {
    let parameters = initial_parameters(plan, rng);
    let layers: Vec<_> = plan.stages.iter().map(ClearStage::new).collect();
    let first = plan.input_steps.first().map(|step| step.input);
    let rows = first.or(plan.stages.first().map(|stage| stage.input)).unwrap_or(plan.input).len();
    let values = (0..rows * SLOTS).map(|_| rng.random::<f32>()).collect();
    let label = |slot: usize| (slot < examples).then_some((slot % plan.classes) as u8);
    let labels: Vec<_> = (0..SLOTS).map(label).collect();
    let mut pass = BlockPass::new(Arc::clone(plan), &Tensor::new(rows, SLOTS, values)?, &labels)?;
    for (stage, (layer, parameters)) in layers.iter().zip(&parameters).enumerate() {
        let z = layer.forward(parameters, pass.input(stage)?)?;
        pass.absorb(stage, z)?;
    }
    for (stage, (layer, parameters)) in layers.iter().zip(&parameters).enumerate().skip(1).rev() {
        let e = layer.backward(parameters, &pass.delta(stage)?.tensor)?;
        pass.absorb_backward(stage, e)?;
    }
    Ok(pass)
}

fn noise(
    plan: &Plan,
    privacy: &PrivacyPlan,
    clipping_norm: f32,
    rng: &mut ChaCha20Rng,
) -> Result<f64, ClientError> {
    let stages = plan.stages.iter().map(|stage| &stage.linear);
    let dimension = stages.map(|linear| linear.weight_count() + linear.bias_count()).sum();
    let mechanism = GaussianMechanism::new(MechanismSpec {
        clipping_norm: f64::from(clipping_norm),
        noise_multiplier: privacy.segment.noise_multiplier,
        dimension,
        slack: MechanismSpec::group_slack(1, 1),
    })?;
    let sum = vec![f64::from(clipping_norm); dimension];
    fastest(|| Ok(mechanism.release(&sum, rng)?))
}

fn accounting(plan: &Plan, privacy: &PrivacyPlan, norm: f32) -> Result<f64, ClientError> {
    let task = |error: std::io::Error| ClientError::Task { cause: error.to_string() };
    let directory = tempfile::tempdir().map_err(task)?;
    let delta = privacy.target.delta();
    let (model, unit) = ("bench".to_owned(), PrivacyUnit::Example);
    let binding = Binding { model, examples: privacy.examples, delta, unit };
    let mut ledger = Ledger::create(&directory.path().join("ledger"), &binding)?;
    let charge = Charge::gaussian(&privacy.segment, f64::from(norm));
    // Weights as f32; biases as seeds and bodies of ciphertexts.
    let bytes = |stage: &Stage| {
        stage.linear.weight_count() * 4
            + stage.linear.bias_count() * (SEED_BYTES + SLOTS * BIAS_WIDTH.bytes())
    };
    let update = vec![1; plan.stages.iter().map(bytes).sum()];
    // The plan may have fewer steps than there are repetitions.
    let never_spent = Target::new(1e3, delta).map_err(sphinx_privacy::PlanError::from)?;
    let mut step = 0;
    fastest(|| {
        let entry = Entry { session: "bench/0".to_owned(), step, charge, chain: None };
        ledger.reserve(&entry, Some(never_spent), &update)?;
        ledger.confirm(step)?;
        step += 1;
        Ok(ledger.spent(delta)?)
    })
}

/// Milliseconds of the fastest of some repetitions.
fn fastest<T>(mut work: impl FnMut() -> Result<T, ClientError>) -> Result<f64, ClientError> {
    let mut best = f64::INFINITY;
    for _ in 0..REPETITIONS {
        let start = Instant::now();
        let done = work()?;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
        drop(done);
    }
    Ok(best)
}
