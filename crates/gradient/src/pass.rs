//! One block of examples through one training step.

mod delta;
mod steps;

use std::fmt;
use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_network::{Plan, Stage, StepOp};

pub use self::delta::Delta;
use self::delta::{multiply_slots, slot_scale};
use self::steps::Saved;
use crate::error::{PassError, Turn};
use crate::gradient::{BlockGradient, Clipping, check_copies, clipped_gradient};
use crate::loss::{BlockLoss, softmax_cross_entropy};
use crate::pooling::Pooling;
use crate::tensor::Tensor;

/// A block of examples on its way through one training step; everything between the server's linear
/// layers.
///
/// The calls alternate with the server's answers: [`input`](Self::input) and
/// [`absorb`](Self::absorb) for each stage in order, then [`delta`](Self::delta) and
/// [`absorb_backward`](Self::absorb_backward) from the last stage down to stage 1, then
/// [`clipped_gradient`](Self::clipped_gradient). A call out of order is refused.
///
/// A step with the layers in the clear; in training they run at the server, on ciphertexts:
///
/// ```
/// # use std::sync::Arc;
/// # use sphinx_gradient::{BlockPass, ClearStage, Clipping, Tensor};
/// # use sphinx_network::{NetworkSpec, Plan, StageParameters};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let plan = Arc::new(Plan::new(&NetworkSpec::builtin("mlp-100").ok_or("not built in")?)?);
/// # let parameters: Vec<StageParameters> = plan.stages.iter().map(|stage| StageParameters {
/// #     weights: vec![0.01; stage.linear.weight_count()],
/// #     biases: vec![0.0; stage.linear.bias_count()],
/// # }).collect();
/// # let images = Tensor::new(784, 16, vec![0.5; 784 * 16])?;
/// # let mut labels = vec![None; 16];
/// # labels[0] = Some(3);
/// let layers: Vec<_> = plan.stages.iter().map(ClearStage::new).collect();
/// let mut pass = BlockPass::new(Arc::clone(&plan), &images, &labels)?;
/// for (stage, layer) in layers.iter().enumerate() {
///     let z = layer.forward(&parameters[stage], pass.input(stage)?)?;
///     pass.absorb(stage, z)?;
/// }
/// for (stage, layer) in layers.iter().enumerate().skip(1).rev() {
///     let e = layer.backward(&parameters[stage], &pass.delta(stage)?.tensor)?;
///     pass.absorb_backward(stage, e)?;
/// }
/// let gradient = pass.clipped_gradient(Clipping::Flat(1.0))?;
/// assert_eq!((pass.loss()?.examples, gradient.examples), (1, 1));
/// # Ok(())
/// # }
/// ```
pub struct BlockPass {
    plan: Arc<Plan>,
    labels: Vec<Option<u8>>,
    turn: Turn,
    /// Inputs of the stages reached so far.
    inputs: Vec<Tensor>,
    /// For each stage that is passed forward and not yet backward, what its steps need to go back.
    tapes: Vec<Vec<Saved>>,
    loss: Option<BlockLoss>,
    /// Gradients at the outputs of the stages, from the last stage down.
    deltas: Vec<Tensor>,
}

impl BlockPass {
    /// Starts a pass with `images`, what the plan's stem yields of them (pixels in `[0, 1]` without
    /// one), rows × slots, and one label per slot, `None` for padding.
    ///
    /// # Errors
    /// [`PassError::Images`], [`PassError::Pixel`], [`PassError::LabelCount`], [`PassError::Label`]
    /// for bad arguments; [`PassError::MaxPoolSize`] for a plan this crate cannot run.
    pub fn new(plan: Arc<Plan>, images: &Tensor, labels: &[Option<u8>]) -> Result<Self, PassError> {
        check_images(&plan, images)?;
        check_labels(&plan, labels, images.slots())?;
        check_pools(&plan)?;
        // No gradient flows to the image, so nothing of its steps is kept.
        let (input, _) = steps::forward(&plan.input_steps, images.clone());
        Ok(Self {
            plan,
            labels: labels.to_vec(),
            turn: Turn::Forward(0),
            inputs: vec![input],
            tapes: Vec::new(),
            loss: None,
            deltas: Vec::new(),
        })
    }

    /// The input of a stage, `stage.input` rows: what is encrypted for the server.
    ///
    /// # Errors
    /// [`PassError::OutOfOrder`] if the pass has not reached the stage.
    pub fn input(&self, stage: usize) -> Result<&Tensor, PassError> {
        self.inputs.get(stage).ok_or_else(|| self.out_of_order(Turn::Input(stage)))
    }

    /// Takes the decrypted pre-activations of a stage, `stage.output` rows, on to the next stage's
    /// input; those of the last stage to the loss and its gradient.
    ///
    /// # Errors
    /// [`PassError::OutOfOrder`]; [`PassError::Shape`]; [`PassError::Logits`] if the logits of an
    /// example are not finite.
    pub fn absorb(&mut self, stage: usize, mut z: Tensor) -> Result<(), PassError> {
        let current = self.expect(Turn::Forward(stage))?;
        z.expect_shape(current.output.len(), self.labels.len())
            .map_err(|source| PassError::Shape { stage, source })?;
        if stage + 1 == self.plan.stages.len() {
            let loss = softmax_cross_entropy(&mut z, &self.labels).ok_or(PassError::Logits)?;
            self.loss = Some(loss);
            self.push_delta(stage, z);
        } else {
            let (input, tape) = steps::forward(&current.steps, z);
            self.inputs.push(input);
            self.tapes.push(tape);
            self.turn = Turn::Forward(stage + 1);
        }
        Ok(())
    }

    /// The loss of the block.
    ///
    /// # Errors
    /// [`PassError::OutOfOrder`] before the last stage was absorbed.
    pub fn loss(&self) -> Result<BlockLoss, PassError> {
        self.loss.ok_or_else(|| self.out_of_order(Turn::Loss))
    }

    /// The gradient at a stage's output: what is encrypted for the server's transposed map. Zero
    /// for padding.
    ///
    /// With a pool folded into the stage, this is the gradient at the pooled rows.
    ///
    /// # Errors
    /// [`PassError::OutOfOrder`] unless [`Self::absorb_backward`] of this stage is what the pass
    /// waits for.
    pub fn delta(&self, stage: usize) -> Result<Delta, PassError> {
        match self.deltas.last() {
            Some(delta) if self.turn == Turn::Backward(stage) => Ok(Delta::normalise(delta)),
            Some(_) | None => Err(self.out_of_order(Turn::Delta(stage))),
        }
    }

    /// Takes the decrypted `e = Wᵀ · delta(stage).tensor`, `stage.input` rows, back to the previous
    /// stage's output.
    ///
    /// # Errors
    /// [`PassError::OutOfOrder`] or [`PassError::Shape`].
    pub fn absorb_backward(&mut self, stage: usize, mut e: Tensor) -> Result<(), PassError> {
        let current = self.expect(Turn::Backward(stage))?;
        e.expect_shape(current.input.len(), self.labels.len())
            .map_err(|source| PassError::Shape { stage, source })?;
        let (Some(delta), Some(tape)) = (self.deltas.last(), self.tapes.pop()) else {
            return Err(self.out_of_order(Turn::Backward(stage)));
        };
        multiply_slots(&mut e, &slot_scale(delta));
        let previous = &self.plan.stages[stage - 1];
        let delta = steps::backward(&previous.steps, tape, &self.inputs[stage], e);
        self.push_delta(stage - 1, delta);
        Ok(())
    }

    /// The sum over the examples of their gradients, all weights and biases of an example clipped
    /// together.
    ///
    /// Exact zero contribution from padding. Expected cost per example: one multiply-add for every
    /// multiply-add of the convolutions and the dense layers, and two for every convolution weight.
    ///
    /// # Errors
    /// [`PassError::OutOfOrder`]; [`PassError::ClippingNorm`]; [`PassError::Gradients`] if the
    /// gradient of a slot is not finite, which no clipping could bound.
    pub fn clipped_gradient(&self, clipping: Clipping) -> Result<BlockGradient, PassError> {
        self.clipped_mean_gradient(NonZeroUsize::MIN, clipping)
    }

    /// As [`Self::clipped_gradient`] for a block that holds each example in several augmented
    /// copies, whose gradients are averaged *before* clipping (augmentation multiplicity: De et al.
    /// 2022, "Unlocking high-accuracy differentially private image classification through scale",
    /// section 3.2).
    ///
    /// With E = slots / copies, copy k of example e is in slot `k * E + e`; all copies of an
    /// example have its label, or none if it is padding. Examples and clipped examples are counted
    /// once, whatever their copies.
    ///
    /// **Privacy.** What is clipped is the one vector that an example adds to the sum, so the sum's
    /// sensitivity to one example is the clipping norm, as without copies; copies are made of that
    /// example alone. Accounting does not change, and the number of copies costs no privacy.
    ///
    /// # Errors
    /// As [`Self::clipped_gradient`]; [`PassError::Copies`] unless E is a positive multiple of
    /// [`SLOT_GROUP`](crate::SLOT_GROUP); [`PassError::CopyLabels`] for copies with different
    /// labels.
    pub fn clipped_mean_gradient(
        &self,
        copies: NonZeroUsize,
        clipping: Clipping,
    ) -> Result<BlockGradient, PassError> {
        self.expect(Turn::Gradient)?;
        check_copies(&self.labels, copies)?;
        self.clipped_group_gradient(copies, clipping)
    }

    /// As [`Self::clipped_mean_gradient`] for a block that has `slots` slots for each person, in
    /// which images of his are, with labels of their own, or nothing: the mean of the gradients of
    /// the images that are shown is what is clipped.
    ///
    /// With P = block / slots, slot k of person p is slot `k * P + p` of the block. Persons are
    /// counted, and those that are clipped.
    ///
    /// **Privacy.** As for copies: the sum's sensitivity to one person is the clipping norm,
    /// however many images he has.
    ///
    /// # Errors
    /// As [`Self::clipped_mean_gradient`] but for the labels.
    pub fn clipped_group_gradient(
        &self,
        slots: NonZeroUsize,
        clipping: Clipping,
    ) -> Result<BlockGradient, PassError> {
        self.expect(Turn::Gradient)?;
        let factors = self.inputs.iter().zip(self.deltas.iter().rev());
        let stages: Vec<_> = self.plan.stages.iter().zip(factors).collect();
        clipped_gradient(&stages, &self.labels, slots, clipping)
    }

    /// The stage that `turn` works on, if it is what the pass waits for.
    fn expect(&self, turn: Turn) -> Result<&Stage, PassError> {
        let stage = match turn {
            Turn::Input(stage)
            | Turn::Forward(stage)
            | Turn::Delta(stage)
            | Turn::Backward(stage) => stage,
            Turn::Loss | Turn::Gradient => 0,
        };
        let current = self.plan.stages.get(stage).filter(|_| turn == self.turn);
        current.ok_or_else(|| self.out_of_order(turn))
    }

    fn out_of_order(&self, got: Turn) -> PassError {
        PassError::OutOfOrder { got, expected: self.turn }
    }

    fn push_delta(&mut self, stage: usize, delta: Tensor) {
        self.deltas.push(delta);
        self.turn = if stage == 0 { Turn::Gradient } else { Turn::Backward(stage) };
    }
}

impl fmt::Debug for BlockPass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockPass")
            .field("slots", &self.labels.len())
            .field("turn", &self.turn)
            .finish_non_exhaustive()
    }
}

fn check_images(plan: &Plan, images: &Tensor) -> Result<(), PassError> {
    let (expected, low, high) = (plan.stem.output.len(), plan.stem.low, plan.stem.high);
    images.expect_shape(expected, images.slots()).map_err(PassError::Images)?;
    let range = low.min(0.0)..=high.max(0.0); // Padding is zero whatever the stem yields.
    match images.as_slice().iter().position(|pixel| !range.contains(pixel)) {
        Some(index) => {
            let (row, slot) = (index / images.slots(), index % images.slots());
            Err(PassError::Pixel { row, slot, low, high })
        }
        None => Ok(()),
    }
}

fn check_labels(plan: &Plan, labels: &[Option<u8>], slots: usize) -> Result<(), PassError> {
    if labels.len() != slots {
        return Err(PassError::LabelCount { got: labels.len(), expected: slots });
    }
    let is_foreign = |label: &Option<u8>| label.is_some_and(|l| usize::from(l) >= plan.classes);
    match labels.iter().position(is_foreign) {
        Some(slot) => Err(PassError::Label { slot, classes: plan.classes }),
        None => Ok(()),
    }
}

fn check_pools(plan: &Plan) -> Result<(), PassError> {
    let steps = plan.stages.iter().flat_map(|stage| &stage.steps).chain(&plan.input_steps);
    for step in steps {
        if let StepOp::MaxPool { size, .. } = step.op
            && size > Pooling::MAX_SIZE
        {
            return Err(PassError::MaxPoolSize { got: size, limit: Pooling::MAX_SIZE });
        }
    }
    Ok(())
}
