//! The quantised network on single images in the clear: what encrypted recognition must agree with.

use sphinx_linalg::LinearMap;
use sphinx_network::{Plan, StageParameters, Step, apply_steps};

use crate::inference::{InferenceStage, QuantisationError, quantised_bias};

/// A whole network with quantised weights and biases.
///
/// `Debug` is left out on purpose: biases are secret.
#[derive(Clone)]
pub struct QuantisedNetwork {
    inputs: usize,
    input_steps: Vec<Step>,
    stages: Vec<ClearStage>,
}

#[derive(Clone)]
struct ClearStage {
    quantised: InferenceStage,
    /// One per output channel.
    biases: Vec<i64>,
    steps: Vec<Step>,
}

impl QuantisedNetwork {
    /// Quantises every stage of `plan` as [`InferenceStage::new`] does.
    ///
    /// # Errors
    /// A [`QuantisationError`] that names the stage; also for parameters that are too many or too
    /// few, and biases outside `±bias_bound`.
    pub fn new(
        plan: &Plan,
        parameters: &[StageParameters],
        bias_bound: f32,
        activation_bits: u32,
    ) -> Result<Self, QuantisationError> {
        check_count("stages", parameters.len(), plan.stages.len())?;
        let mut stages = Vec::with_capacity(plan.stages.len());
        for (index, (stage, StageParameters { weights, biases })) in
            plan.stages.iter().zip(parameters).enumerate()
        {
            check_count("biases", biases.len(), stage.linear.bias_count())?;
            let out_of_bound = |bias: &f32| bias.is_nan() || bias.abs() > bias_bound;
            if let Some(bias) = biases.iter().position(out_of_bound) {
                let (stage, index, bound) = (index, bias, bias_bound);
                return Err(QuantisationError::BiasOutOfBound { stage, index, bound });
            }
            let quantised =
                InferenceStage::new(index, stage, weights, bias_bound, activation_bits)?;
            let scaled = biases.iter().zip(&quantised.scales);
            let biases = scaled.map(|(&bias, &scale)| quantised_bias(bias, scale)).collect();
            stages.push(ClearStage { quantised, biases, steps: stage.steps.clone() });
        }
        let (inputs, input_steps) = (plan.stem.output.len(), plan.input_steps.clone());
        Ok(Self { inputs, input_steps, stages })
    }

    /// The logits of one image, channel-major: the output of the plan's stem, or pixels in `[0, 1]`
    /// without one.
    ///
    /// # Errors
    /// [`QuantisationError::Count`] when it is not as long as the output of
    /// [`sphinx_network::Stem`].
    pub fn classify(&self, image: &[f32]) -> Result<Vec<f32>, QuantisationError> {
        check_count("inputs", image.len(), self.inputs)?;
        let mut values = apply_steps(&self.input_steps, image.to_vec());
        for ClearStage { quantised, biases, steps } in &self.stages {
            let mut sums = apply_clear(&quantised.map, &quantised.encode(&values));
            for (rows, bias) in sums.chunks_mut(quantised.rows_per_channel).zip(biases) {
                rows.iter_mut().for_each(|sum| *sum += bias);
            }
            values = apply_steps(steps, quantised.decode(&sums));
        }
        Ok(values)
    }

    /// The quantised stages, in order.
    pub fn stages(&self) -> impl Iterator<Item = &InferenceStage> {
        self.stages.iter().map(|stage| &stage.quantised)
    }
}

/// Applies an integer map to one column of integers, exactly (for results within 63 bits).
///
/// `inputs` has [`LinearMap::inputs`] entries, the result [`LinearMap::outputs`].
pub fn apply_clear(map: &LinearMap, inputs: &[i32]) -> Vec<i64> {
    let mut outputs = vec![0; map.outputs()];
    let mut gathered = Vec::new();
    for group in map.groups() {
        for patch in group.patches.iter() {
            gathered.clear();
            gathered.extend(patch.gather.iter().map(|&row| i64::from(inputs[row as usize])));
            for (index, &row) in patch.scatter.iter().enumerate() {
                let weights = &group.weights[index * group.taps..][..group.taps];
                let products = weights.iter().zip(&gathered).map(|(&w, &x)| i64::from(w) * x);
                outputs[row as usize] = products.sum();
            }
        }
    }
    outputs
}

fn check_count(what: &'static str, got: usize, expected: usize) -> Result<(), QuantisationError> {
    if got == expected { Ok(()) } else { Err(QuantisationError::Count { what, got, expected }) }
}
