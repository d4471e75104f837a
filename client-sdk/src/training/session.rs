//! A training session at the trainer, on ciphertexts, every product checked.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_gradient::Tensor;
use sphinx_linalg::SLOTS;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::TrainingRule;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{self, Commit, OpenSession, ParameterSet};
use sphinx_proto::{KeyId, ModelId, SessionId};
use sphinx_secret::RootKey;
use sphinx_wire::commit;
use sphinx_wire::sealed as wire;
use sphinx_wire::training::{
    Form, Geometries, StageIntegers, backward_budget, forward_budget, profile_message,
    working_sha256,
};
use tokio::runtime::Handle;

use crate::client::SphinxClient;
use crate::error::{ClientError, StateError, TrainingError};
use crate::product::{self, Biases, CheckCost, Checked, Evaluation};
use crate::suspects::mark::build;
use crate::traffic::Traffic;
use crate::training::evaluator::{Direction, Evaluator, Update};
use crate::training::mirror::{ModelMirror, NextVersion, SessionMirror};
use crate::training::protocol::{BiasForm, Checks, Protocol};
use crate::training::randomness::StepRandomness;
use crate::training::sealed::Sealed;
use crate::training::stream::TrainStream;
use crate::training::trainer_rows::TrainerRows;
use crate::witness::{Product, Sight};

/// What a session needs to be opened, and opened again.
#[derive(Clone)]
pub struct SessionOptions {
    /// The model to train.
    pub model_id: ModelId,
    /// The key it was made with.
    pub key_id: KeyId,
    /// The root of that key.
    pub key: Arc<RootKey>,
    /// Chosen at random for a new session; the same again to go on after a break.
    pub session_id: SessionId,
    /// Update rule and learning rates.
    pub rule: TrainingRule,
    /// Forms of the protocol; the default is what everybody should use.
    pub protocol: Protocol,
}

/// An open session: encrypts what goes out, decrypts and checks what comes back.
pub struct EncryptedSession {
    client: SphinxClient,
    options: SessionOptions,
    runtime: Handle,
    stream: TrainStream,
    geometries: Arc<Geometries>,
    mirror: SessionMirror,
    /// Of the mirror's weights.
    integers: Vec<StageIntegers>,
    last_step: Option<u64>,
    /// Where the sealed update leads.
    next: Option<NextVersion>,
    calls: u64,
    /// Products on the mirrored version so far.
    products: u64,
    /// Of keys and ciphertexts, where a training has to be repeatable.
    randomness: Option<Arc<StepRandomness>>,
    checks: CheckCost,
    /// Bytes moved by streams that were closed since.
    earlier: Traffic,
}

impl EncryptedSession {
    /// Opens a session at the model's newest version, which is brought home and verified first.
    /// Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`StateError`] if the model is not what its owner left; [`ClientError`] if the trainer
    /// refuses or does not answer.
    pub async fn open(client: &SphinxClient, options: SessionOptions) -> Result<Self, ClientError> {
        let mirror = ModelMirror::fetch(client, &options.key, &options.model_id).await?;
        Self::open_at(client, options, mirror).await
    }

    /// As [`Self::open`], at a version that is here already.
    pub(crate) async fn open_at(
        client: &SphinxClient,
        options: SessionOptions,
        mirror: ModelMirror,
    ) -> Result<Self, ClientError> {
        let plan = mirror.plan.as_ref().clone();
        let form = options.protocol.form(&plan)?;
        let geometries = Arc::new(Geometries::new(plan, form, mirror.spec.bias_bound));
        let mirror = mirror.opened(options.session_id, options.rule)?;
        let integers = geometries.lower(&mirror.trained.weights.weights)?;
        let (stream, last_step) = open(client, &options, form, &mirror, &integers).await?;
        Ok(Self {
            client: client.clone(),
            options,
            runtime: Handle::current(),
            stream,
            geometries,
            mirror,
            integers,
            last_step,
            next: None,
            calls: 0,
            products: 0,
            randomness: None,
            checks: CheckCost::default(),
            earlier: Traffic::default(),
        })
    }

    /// Draws keys and ciphertexts as a function of a seed, so that a training can be repeated bit
    /// for bit: whoever knows the seed can decrypt it.
    pub(crate) fn repeatable(self, seed: [u8; 32]) -> Self {
        Self { randomness: Some(Arc::new(StepRandomness::new(seed))), ..self }
    }

    /// For the next product.
    fn rng(&mut self) -> ChaCha20Rng {
        let number = self.products;
        self.products += 1;
        match &self.randomness {
            Some(fixed) => fixed.of_product(self.mirror.version(), number),
            // Of this call alone, so that a copied process repeats no mask.
            None => ChaCha20Rng::from_rng(&mut crate::secure_rng()),
        }
    }

    /// The network's stages.
    pub fn plan(&self) -> &Arc<Plan> {
        self.mirror.plan()
    }

    /// The network's description.
    pub fn spec(&self) -> &NetworkSpec {
        self.mirror.spec()
    }

    /// The last step of this session that is committed.
    pub fn last_step(&self) -> Option<u64> {
        self.last_step
    }

    /// h of the version that evaluations use.
    pub fn chain(&self) -> [u8; 32] {
        self.mirror.chain()
    }
}

/// The product of a stage on some blocks, `None` if the network has no such product or the tensors
/// are not blocks of its rows.
fn evaluation<'a>(
    mirror: &'a SessionMirror,
    integers: &'a [StageIntegers],
    (stage, direction): (usize, Direction),
    form: Form,
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

impl Evaluator for EncryptedSession {
    fn version(&self) -> u64 {
        self.mirror.version()
    }

    fn biases(&self) -> &[Vec<f32>] {
        &self.mirror.trained.biases
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        let rng = self.rng();
        let (mirror, integers) = (&self.mirror, &self.integers);
        let (form, checks) = (self.geometries.form(), self.options.protocol.checks);
        let product = evaluation(mirror, integers, (stage, direction), form, blocks);
        let Some(evaluation) = product else {
            return Err(no_product(stage, blocks, mirror.plan().stages.len()));
        };
        if let Some(block) = blocks.first() {
            let product = Product::Training { stage, direction };
            let (values, slots) = (block.as_slice(), block.slots());
            self.client.trainer.show(Sight::Hidden { product, values, slots });
        }
        let (version, call) = (self.mirror.version(), self.calls + 1);
        let mut server = TrainerRows::new(&mut self.stream, version, call, form.profile);
        let checked = product::evaluate(&mut server, &evaluation, blocks, rng, &mut self.checks)?;
        self.calls += 1;
        match checked {
            Checked::Right(tensors) => Ok(tensors),
            Checked::Wrong(tensors) if checks == Checks::None => Ok(tensors),
            Checked::Wrong(_) => Err(StateError::WrongProduct {
                model: self.options.model_id.to_string(),
                version: self.mirror.version(),
                stage,
                phase: match direction {
                    Direction::Forward => "forward",
                    Direction::Backward => "backward",
                },
            }
            .into()),
        }
    }

    fn steps(&self) -> u64 {
        self.mirror.steps
    }

    fn seal(&mut self, step: u64, update: &Update, last: bool) -> Result<Sealed, ClientError> {
        let next = self.mirror.next(&self.geometries, step, update, last)?;
        let rates = v1::StepRates {
            learning_rate: next.rates.learning_rate,
            first_correction: next.rates.first_correction,
            second_correction: next.rates.second_correction,
        };
        let header = Commit {
            step,
            base_version: self.mirror.version(),
            adopt_average: update.adopts_average,
            rates: (!update.adopts_average).then_some(rates),
            chain: Bytes::copy_from_slice(&next.chain),
        };
        let parts = commit::parts(&header, &update.gradient, next.sealed.clone());
        self.next = Some(next);
        Ok(Sealed::of(wire::Sealed::new(
            opening(&self.options, self.geometries.form()),
            header,
            parts,
        )))
    }

    fn commit(&mut self, step: u64, sealed: &Sealed, _: &Update) -> Result<(), ClientError> {
        self.commit_sealed(step, sealed)?;
        self.arrive()
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        self.earlier = self.traffic();
        // A step whose stream broke begins again.
        self.products = 0;
        // Where the model is: at the version that is mirrored, at the one that was to follow, or
        // where somebody else's update has led.
        if self.connect()? {
            return Ok(self.last_step == Some(step));
        }
        if let Some(next) = self.next.take() {
            self.integers = self.mirror.committed(next);
            if self.connect()? {
                return Ok(self.last_step == Some(step));
            }
        }
        let (client, options) = (self.client.clone(), self.options.clone());
        let opened = self.runtime.block_on(Self::open(&client, options))?;
        let (earlier, randomness) = (self.earlier, self.randomness.take());
        *self = Self { earlier, randomness, checks: self.checks, calls: self.calls, ..opened };
        Ok(self.last_step == Some(step))
    }

    fn traffic(&self) -> Traffic {
        let now = self.stream.traffic();
        Traffic { up: self.earlier.up + now.up, down: self.earlier.down + now.down }
    }

    fn check_cpu(&self) -> Duration {
        self.checks.0
    }
}

impl EncryptedSession {
    /// Sends a sealed commit as it is and waits until it is stored. The session is at the version
    /// before until it is opened again.
    ///
    /// # Errors
    /// [`crate::TrainingError::Sealed`] for one of another step or version; after a transient error
    /// reopen and repeat.
    pub fn commit_sealed(&mut self, step: u64, sealed: &Sealed) -> Result<(), ClientError> {
        let commit = sealed.commit();
        let (header, version) = (commit.header().clone(), self.mirror.version());
        if (header.step, header.base_version) != (step, version) {
            let cause = format!(
                "it is step {} on version {}, asked for is step {step} on version {version}",
                header.step, header.base_version
            );
            return Err(TrainingError::Sealed { cause }.into());
        }
        let chain = header.chain.clone();
        self.stream.send(Part::Commit(header))?;
        for part in commit.parts() {
            self.stream.send(Part::CommitChunk(part.clone()))?;
        }
        let reply = self.stream.receive()?;
        let Reply::Committed(committed) = reply else {
            return Err(self.stream.unexpected(&reply, "committed"));
        };
        if committed.step != step || committed.version != version + 1 {
            let got = format!("step {} as version {}", committed.step, committed.version);
            let expected = format!("step {step} as version {}", version + 1);
            return Err(self.stream.protocol(got, expected));
        }
        if committed.chain != chain {
            let model = self.options.model_id.to_string();
            return Err(StateError::OtherChain { model, version: version + 1 }.into());
        }
        self.last_step = Some(step);
        Ok(())
    }

    /// Moves the mirror on to the version that was sealed and is committed.
    fn arrive(&mut self) -> Result<(), ClientError> {
        let cause = || "it was sealed by another session".to_owned();
        let next = self.next.take().ok_or_else(|| TrainingError::Sealed { cause: cause() })?;
        self.integers = self.mirror.committed(next);
        self.products = 0;
        Ok(())
    }

    /// Opens the stream again at the mirrored version; false if the service is at another.
    fn connect(&mut self) -> Result<bool, ClientError> {
        let form = self.geometries.form();
        let opening = open(&self.client, &self.options, form, &self.mirror, &self.integers);
        match self.runtime.block_on(opening) {
            Ok((stream, last_step)) => {
                (self.stream, self.last_step) = (stream, last_step);
                Ok(true)
            }
            Err(ClientError::State(StateError::OtherChain { .. })) => Ok(false),
            Err(error) => Err(error),
        }
    }
}

/// The first message of a session.
fn opening(options: &SessionOptions, form: Form) -> OpenSession {
    OpenSession {
        model_id: options.model_id.to_string(),
        key_id: options.key_id.to_string(),
        session_id: options.session_id.0.to_vec().into(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        profile: profile_message(form.profile).into(),
        optimizer: Some((&options.rule).into()),
        biases: match form.biases {
            BiasForm::AtHome => v1::BiasForm::AtHome,
            BiasForm::Encrypted => v1::BiasForm::Encrypted,
        }
        .into(),
    }
}

/// Opens the stream and compares, before the first ciphertext leaves, where the service stands and
/// what it computes with.
async fn open(
    client: &SphinxClient,
    options: &SessionOptions,
    form: Form,
    mirror: &SessionMirror,
    integers: &[StageIntegers],
) -> Result<(TrainStream, Option<u64>), ClientError> {
    let (stream, opened) = TrainStream::open(&client.trainer, &opening(options, form)).await?;
    let state = opened.state.ok_or_else(|| stream.protocol("no state", "the version's state"))?;
    let model = options.model_id.to_string();
    if (state.version, &*state.chain) != (mirror.version(), &mirror.chain()[..]) {
        return Err(StateError::OtherChain { model, version: state.version }.into());
    }
    let working = working_sha256(integers, &mirror.trained.weights.optimizer_sha256());
    if *opened.working_sha256 != working {
        return Err(StateError::OtherBuild { model, ours: build(), theirs: opened.build }.into());
    }
    Ok((stream, opened.last_step))
}

/// A product that the network does not have, or tensors that are not blocks of its rows.
pub(crate) fn no_product(stage: usize, blocks: &[&Tensor], stages: usize) -> ClientError {
    let (rows, slots) = blocks.first().map_or((0, 0), |block| (block.rows(), block.slots()));
    TrainingError::NoProduct { stage, rows, slots, stages, expected: SLOTS }.into()
}
