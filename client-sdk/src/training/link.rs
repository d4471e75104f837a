//! One stream of a session, and products by it.

use std::time::Duration;

use sphinx_gradient::Tensor;
use sphinx_linalg::SLOTS;
use sphinx_proto::ModelId;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Follow, SessionOpened};
use sphinx_wire::state::Hash;
use sphinx_wire::training::{Form, StageIntegers, backward_budget, forward_budget};

use crate::error::{ClientError, StateError, TrainingError};
use crate::product::{self, Biases, CheckCost, Checked, Evaluation, Fresh};
use crate::suspects::mark::build;
use crate::traffic::Traffic;
use crate::training::evaluator::{Direction, Shard};
use crate::training::mirror::SessionMirror;
use crate::training::protocol::{BiasForm, Checks};
use crate::training::randomness::StepRandomness;
use crate::training::stream::TrainStream;
use crate::training::trainer_rows::TrainerRows;
use crate::witness::{Product, Sight};

/// What all streams of a session compute with.
#[derive(Clone, Copy)]
pub(crate) struct Common<'a> {
    pub model_id: &'a ModelId,
    pub checks: Checks,
    pub form: Form,
    pub mirror: &'a SessionMirror,
    /// Of the mirror's weights.
    pub integers: &'a [StageIntegers],
    /// Of keys and ciphertexts, where a training has to be repeatable.
    pub randomness: Option<&'a StepRandomness>,
}

/// An open stream, and what it has cost.
pub(crate) struct Link {
    pub stream: TrainStream,
    /// Of the service at the other end.
    build: String,
    calls: u64,
    checks: CheckCost,
    /// H of what the service has to compute with after it was asked to follow, until it has said
    /// that it does.
    moving: Option<Result<Hash, ClientError>>,
}

/// A stream that takes blocks of a step.
pub(crate) struct LinkShard<'a> {
    pub link: &'a mut Link,
    pub common: Common<'a>,
}

impl Shard for LinkShard<'_> {
    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        first: usize,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        self.link.evaluate(self.common, (stage, direction), first, blocks)
    }
}

impl Link {
    /// A stream that was opened with this answer.
    pub fn new(stream: TrainStream, opened: SessionOpened) -> Self {
        let (build, checks) = (opened.build, CheckCost::default());
        Self { stream, build, calls: 0, checks, moving: None }
    }

    /// Bytes moved, and CPU time of checks.
    pub fn cost(&self) -> (Traffic, Duration) {
        (self.stream.traffic(), self.checks.0)
    }

    /// Counts anew: what was counted is kept elsewhere.
    pub fn forget_cost(&mut self) {
        self.stream.forget_traffic();
        self.checks = CheckCost::default();
    }

    /// Asks the service to follow to a version, where it has to compute with what has this hash.
    /// The answer is awaited before the next product.
    pub fn follow(&mut self, version: u64, working: Hash) {
        let sent = self.stream.send(Part::Follow(Follow { version }));
        self.moving = Some(sent.map(|()| working));
    }

    /// Waits until the service is where it was asked to follow to.
    fn arrive(&mut self, common: Common<'_>) -> Result<(), ClientError> {
        let Some(asked) = self.moving.take() else { return Ok(()) };
        let working = asked?;
        let reply = self.stream.receive()?;
        let Reply::Followed(followed) = reply else {
            return Err(self.stream.unexpected(&reply, "followed"));
        };
        let (model, mirror) = (common.model_id.to_string(), common.mirror);
        if (followed.version, &*followed.chain) != (mirror.version(), &mirror.chain()[..]) {
            return Err(StateError::OtherChain { model, version: followed.version }.into());
        }
        if *followed.working_sha256 != working {
            let theirs = self.build.clone();
            return Err(StateError::OtherBuild { model, ours: build(), theirs }.into());
        }
        Ok(())
    }

    /// A product on blocks of the step, the first of which has this number, checked.
    pub fn evaluate(
        &mut self,
        common: Common<'_>,
        (stage, direction): (usize, Direction),
        first: usize,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        self.arrive(common)?;
        let Common { model_id, form, mirror, .. } = common;
        let Some(evaluation) = evaluation(common, (stage, direction), blocks) else {
            return Err(no_product(stage, blocks, mirror.plan().stages.len()));
        };
        if let Some(block) = blocks.first() {
            let product = Product::Training { stage, direction };
            let (values, slots) = (block.as_slice(), block.slots());
            self.stream.show(Sight::Hidden { product, values, slots });
        }
        let number = 2 * stage as u64 + u64::from(direction == Direction::Backward);
        let fresh = match common.randomness {
            Some(fixed) => fixed.of_product((mirror.version(), number), (first, blocks.len())),
            None => Fresh::from_system(blocks.len()),
        };
        let (version, call) = (mirror.version(), self.calls + 1);
        let mut server = TrainerRows::new(&mut self.stream, version, call, form.profile);
        let checks = &mut self.checks;
        let checked = product::evaluate(&mut server, &evaluation, blocks, fresh, checks)?;
        self.calls += 1;
        match checked {
            Checked::Right(tensors) => Ok(tensors),
            Checked::Wrong(tensors) if common.checks == Checks::None => Ok(tensors),
            Checked::Wrong(_) => Err(StateError::WrongProduct {
                model: model_id.to_string(),
                version: mirror.version(),
                stage,
                phase: match direction {
                    Direction::Forward => "forward",
                    Direction::Backward => "backward",
                },
            }
            .into()),
        }
    }
}

/// The product of a stage on some blocks, `None` if the network has no such product or the tensors
/// are not blocks of its rows.
fn evaluation<'a>(
    Common { form, mirror, integers, .. }: Common<'a>,
    (stage, direction): (usize, Direction),
    blocks: &[&Tensor],
) -> Option<Evaluation<'a>> {
    let shape = mirror.plan().stages.get(stage)?;
    let product = integers.get(stage)?.product(direction)?;
    let (budget, biases) = match direction {
        Direction::Forward => {
            let values = mirror.trained.biases.get(stage)?;
            let biases = match form.biases {
                BiasForm::AtHome => Biases::Added(values),
                // Of the bound that the server weighs them with.
                BiasForm::Encrypted => {
                    Biases::Sent { values, unit: shape.input_bound / mirror.spec().bias_bound }
                }
            };
            (forward_budget(shape, form.profile), biases)
        }
        Direction::Backward => (backward_budget(form.profile), Biases::None),
    };
    let inputs = product.map.inputs() - biases.rows();
    let alike = blocks.iter().all(|block| (block.rows(), block.slots()) == (inputs, SLOTS));
    (alike && !blocks.is_empty()).then_some(Evaluation {
        stage,
        direction,
        blocks: blocks.len(),
        profile: form.profile,
        product,
        scale: budget.input_scale,
        limit: budget.largest_message() as i32,
        biases,
    })
}

/// A product that the network does not have, or tensors that are not blocks of its rows.
pub(crate) fn no_product(stage: usize, blocks: &[&Tensor], stages: usize) -> ClientError {
    let (rows, slots) = blocks.first().map_or((0, 0), |block| (block.rows(), block.slots()));
    TrainingError::NoProduct { stage, rows, slots, stages, expected: SLOTS }.into()
}
