//! A network as the attacker computes it.

use rayon::prelude::*;
use sphinx_network::{Activation, Plan, StepOp};

use crate::dual::{Dual, Number};
use crate::tape::{Layer, Step, cross_entropy};

/// Why an attack cannot be made.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum AttackError {
    /// A step of the network has no second derivative, or none that is implemented.
    #[error("the step {step} cannot be attacked: expected tanh, sigmoid or average pooling")]
    Step {
        /// The step.
        step: String,
    },
    /// Numbers that do not fit the network.
    #[error("got {got} {what}, expected {expected}")]
    Count {
        /// Of what.
        what: &'static str,
        /// How many.
        got: usize,
        /// What the network has.
        expected: usize,
    },
    /// The attack went to infinity.
    #[error("the optimiser of the attack failed: {0}; lower its learning rate")]
    Optimizer(#[from] sphinx_optimizer::OptimizerError),
}

/// A network that can be differentiated with respect to weights, biases, images and labels, and
/// whose gradients can be differentiated once more along a direction. In `f64`, one example at a
/// time.
#[derive(Debug, Clone)]
pub struct Network {
    input_steps: Vec<Step>,
    layers: Vec<Layer>,
    image: usize,
    classes: usize,
}

/// Gradient of one example's cross-entropy, by stage in the order of the stage's weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Gradient {
    /// One vector per stage.
    pub weights: Vec<Vec<f64>>,
    /// One vector per stage.
    pub biases: Vec<Vec<f64>>,
}

/// Weights and biases of every stage.
#[derive(Clone)]
pub(crate) struct Parameters<N> {
    pub weights: Vec<Vec<N>>,
    pub biases: Vec<Vec<N>>,
}

/// What a pass yields; the parameters' gradients only if they were asked for.
pub(crate) struct Pass<N> {
    pub loss: N,
    pub weights: Vec<Vec<N>>,
    pub biases: Vec<Vec<N>>,
    pub image: Vec<N>,
    pub label: Vec<N>,
}

impl Network {
    /// The network of a plan.
    ///
    /// # Errors
    /// [`AttackError::Step`] for steps other than tanh, sigmoid and average pooling.
    pub fn new(plan: &Plan) -> Result<Self, AttackError> {
        let layers = plan.stages.iter().map(|stage| {
            let folded = stage.pool.map(|size| Step::Pool {
                size,
                input: stage.linear_output,
                output: stage.output,
            });
            let mut steps: Vec<Step> = folded.into_iter().collect();
            steps.extend(smooth(&stage.steps)?);
            let (linear, input, linear_output) = (stage.linear, stage.input, stage.linear_output);
            Ok(Layer { linear, input, linear_output, steps })
        });
        Ok(Self {
            input_steps: smooth(&plan.input_steps)?,
            layers: layers.collect::<Result<_, AttackError>>()?,
            image: plan.input.len(),
            classes: plan.classes,
        })
    }

    /// Number of pixels.
    pub fn image_len(&self) -> usize {
        self.image
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The gradient of one example.
    ///
    /// # Errors
    /// [`AttackError::Count`] for parameters, pixels or a label of another network.
    pub fn gradient(
        &self,
        weights: &[Vec<f32>],
        biases: &[Vec<f32>],
        image: &[f32],
        label: u8,
    ) -> Result<Gradient, AttackError> {
        let parameters = Parameters { weights: widen(weights), biases: widen(biases) };
        self.check(&parameters.weights, &parameters.biases)?;
        expect("pixels", image.len(), self.image)?;
        if usize::from(label) >= self.classes {
            let (got, expected) = (usize::from(label), self.classes);
            return Err(AttackError::Count { what: "as a label", got, expected });
        }
        let image: Vec<f64> = image.iter().map(|&pixel| f64::from(pixel)).collect();
        let mut target = vec![0.0; self.classes];
        target[usize::from(label)] = 1.0;
        let pass = self.pass(&parameters, &image, &target, true);
        Ok(Gradient { weights: pass.weights, biases: pass.biases })
    }

    pub(crate) fn check<N>(
        &self,
        weights: &[Vec<N>],
        biases: &[Vec<N>],
    ) -> Result<(), AttackError> {
        expect("stages of weights", weights.len(), self.layers.len())?;
        expect("stages of biases", biases.len(), self.layers.len())?;
        for ((layer, weights), biases) in self.layers.iter().zip(weights).zip(biases) {
            expect("weights", weights.len(), layer.linear.weight_count())?;
            expect("biases", biases.len(), layer.linear.bias_count())?;
        }
        Ok(())
    }

    /// Zeros in the shape of the biases.
    pub(crate) fn zero_biases(&self) -> Vec<Vec<f64>> {
        self.layers.iter().map(|layer| vec![0.0; layer.linear.bias_count()]).collect()
    }

    /// Forward and backward pass of one example, all arguments of the right size.
    pub(crate) fn pass<N: Number>(
        &self,
        parameters: &Parameters<N>,
        image: &[N],
        target: &[N],
        with_parameters: bool,
    ) -> Pass<N> {
        let first = run(&self.input_steps, image.to_vec());
        let mut inputs = vec![last(&first, image)];
        let mut tapes = Vec::with_capacity(self.layers.len());
        for (stage, layer) in self.layers.iter().enumerate() {
            let (weights, biases) = (&parameters.weights[stage], &parameters.biases[stage]);
            let z = layer.forward(weights, biases, &inputs[stage]);
            let tape = run(&layer.steps, z.clone());
            inputs.push(last(&tape, &z));
            tapes.push(tape);
        }
        let (loss, mut delta, label) = cross_entropy(&inputs[self.layers.len()], target);
        let (mut weights, mut biases) = (Vec::new(), Vec::new());
        for (stage, layer) in self.layers.iter().enumerate().rev() {
            delta = back(&layer.steps, &tapes[stage], delta);
            if with_parameters {
                let (weight, bias) = layer.parameters(&inputs[stage], &delta);
                weights.push(weight);
                biases.push(bias);
            } else {
                biases.push(bias_gradient(layer, &delta));
            }
            delta = layer.backward(&parameters.weights[stage], &delta);
        }
        weights.reverse();
        biases.reverse();
        let image = back(&self.input_steps, &first, delta);
        Pass { loss, weights, biases, image, label }
    }

    /// For every example, the derivative of ⟨direction, its gradient⟩ with respect to biases, image
    /// and label: one backward pass on dual numbers, since the derivative along the direction and
    /// the gradient commute.
    pub(crate) fn second_order(
        &self,
        parameters: &Parameters<f64>,
        direction: &Parameters<f64>,
        examples: &[(Vec<f64>, Vec<f64>)],
    ) -> Vec<Pass<f64>> {
        let parameters = Parameters {
            weights: zip_duals(&parameters.weights, &direction.weights),
            biases: zip_duals(&parameters.biases, &direction.biases),
        };
        let examples = examples.par_iter().map(|(image, target)| {
            let (image, target) = (constants(image), constants(target));
            let pass = self.pass(&parameters, &image, &target, false);
            Pass {
                loss: pass.loss.tangent,
                weights: Vec::new(),
                biases: pass.biases.iter().map(|biases| tangents(biases)).collect(),
                image: tangents(&pass.image),
                label: tangents(&pass.label),
            }
        });
        examples.collect()
    }
}

fn smooth(steps: &[sphinx_network::Step]) -> Result<Vec<Step>, AttackError> {
    let smooth = |step: &sphinx_network::Step| {
        let (input, output) = (step.input, step.output);
        if let StepOp::Activation(Activation::Tanh) = step.op {
            Ok(Step::Tanh)
        } else if let StepOp::Activation(Activation::Sigmoid) = step.op {
            Ok(Step::Sigmoid)
        } else if let StepOp::AvgPool { size } = step.op {
            Ok(Step::Pool { size, input, output })
        } else {
            Err(AttackError::Step { step: format!("{:?}", step.op) })
        }
    };
    steps.iter().map(smooth).collect()
}

/// The outputs of all steps.
fn run<N: Number>(steps: &[Step], values: Vec<N>) -> Vec<Vec<N>> {
    let mut outputs: Vec<Vec<N>> = Vec::with_capacity(steps.len());
    for step in steps {
        let next = step.forward(outputs.last().unwrap_or(&values));
        outputs.push(next);
    }
    outputs
}

fn last<N: Copy>(outputs: &[Vec<N>], start: &[N]) -> Vec<N> {
    outputs.last().cloned().unwrap_or_else(|| start.to_vec())
}

fn back<N: Number>(steps: &[Step], outputs: &[Vec<N>], mut delta: Vec<N>) -> Vec<N> {
    for (step, outputs) in steps.iter().zip(outputs).rev() {
        delta = step.backward(outputs, delta);
    }
    delta
}

fn bias_gradient<N: Number>(layer: &Layer, delta: &[N]) -> Vec<N> {
    let area = delta.len() / layer.linear.bias_count();
    let sum = |values: &[N]| values.iter().fold(N::constant(0.0), |sum, &value| sum + value);
    delta.chunks_exact(area).map(sum).collect()
}

pub(crate) fn widen(values: &[Vec<f32>]) -> Vec<Vec<f64>> {
    values.iter().map(|values| values.iter().map(|&value| f64::from(value)).collect()).collect()
}

fn zip_duals(values: &[Vec<f64>], tangents: &[Vec<f64>]) -> Vec<Vec<Dual>> {
    let zip = |(values, tangents): (&Vec<f64>, &Vec<f64>)| {
        let pairs = values.iter().zip(tangents);
        pairs.map(|(&value, &tangent)| Dual { value, tangent }).collect()
    };
    values.iter().zip(tangents).map(zip).collect()
}

fn constants(values: &[f64]) -> Vec<Dual> {
    values.iter().map(|&value| Dual::constant(value)).collect()
}

fn tangents(values: &[Dual]) -> Vec<f64> {
    values.iter().map(|value| value.tangent).collect()
}

fn expect(what: &'static str, got: usize, expected: usize) -> Result<(), AttackError> {
    if got == expected { Ok(()) } else { Err(AttackError::Count { what, got, expected }) }
}
