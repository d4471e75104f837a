//! A training session at the trainer, on ciphertexts.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_gradient::Tensor;
use sphinx_linalg::{BIAS_WIDTH, SLOTS};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::TrainingRule;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Commit, Model, OpenSession, ParameterSet, StageScales};
use sphinx_proto::{KeyId, ModelId, SessionId};
use sphinx_secret::SecretKey;
use sphinx_wire::commit::{self, SeededBiases};
use sphinx_wire::sealed as wire;
use tokio::runtime::Handle;
use zeroize::Zeroizing;

use crate::client::SphinxClient;
use crate::error::{ClientError, ClientKeyError, TrainingError};
use crate::traffic::Traffic;
use crate::training::evaluator::{Direction, Evaluator, Update};
use crate::training::rows::{self, Evaluation, RowCodec, TrainerRows};
use crate::training::sealed::Sealed;
use crate::training::stream::TrainStream;

/// What a session needs to be opened, and opened again.
#[derive(Clone)]
pub struct SessionOptions {
    /// The model to train.
    pub model_id: ModelId,
    /// The key it was made with.
    pub key_id: KeyId,
    /// The secret half of that key.
    pub key: Arc<SecretKey>,
    /// Chosen at random for a new session; the same again to go on after a break.
    pub session_id: SessionId,
    /// Update rule and learning rates.
    pub rule: TrainingRule,
}

/// An open session: encrypts what goes out, decrypts what comes back.
pub struct EncryptedSession {
    client: SphinxClient,
    options: SessionOptions,
    runtime: Handle,
    stream: TrainStream,
    plan: Arc<Plan>,
    spec: NetworkSpec,
    scales: Vec<StageScales>,
    version: u64,
    last_step: Option<u64>,
    biases: Vec<Vec<f32>>,
    calls: u64,
    /// Bytes moved by streams that were closed since.
    earlier: Traffic,
    rng: ChaCha20Rng,
}

/// What opening a session brings.
struct Opened {
    stream: TrainStream,
    spec: NetworkSpec,
    plan: Plan,
    scales: Vec<StageScales>,
    version: u64,
    last_step: Option<u64>,
    biases: Vec<Vec<f32>>,
}

impl EncryptedSession {
    /// Opens a session at the model's newest version. Must be called on a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError`] if the trainer refuses or does not answer.
    pub async fn open(client: &SphinxClient, options: SessionOptions) -> Result<Self, ClientError> {
        let opened = open(client, &options).await?;
        let Opened { stream, spec, plan, scales, version, last_step, biases } = opened;
        Ok(Self {
            client: client.clone(),
            options,
            runtime: Handle::current(),
            stream,
            plan: Arc::new(plan),
            spec,
            scales,
            version,
            last_step,
            biases,
            calls: 0,
            earlier: Traffic::default(),
            rng: ChaCha20Rng::from_rng(&mut rand::rng()),
        })
    }

    /// The network's stages.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    /// The network's description.
    pub fn spec(&self) -> &NetworkSpec {
        &self.spec
    }

    /// The last step of this session that is committed.
    pub fn last_step(&self) -> Option<u64> {
        self.last_step
    }

    /// The product of a stage on some blocks, `None` if the network has no such product or the
    /// tensors are not blocks of its rows.
    fn evaluation(
        &self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Option<Evaluation> {
        let (shape, scales) = (self.plan.stages.get(stage)?, self.scales.get(stage)?);
        let (outputs, channels, scale) = match direction {
            Direction::Forward => (shape.output.len(), shape.output.channels, scales.forward_input),
            Direction::Backward => (shape.input.len(), shape.input.channels, scales.backward_input),
        };
        let inputs = blocks.first()?.rows();
        let alike = blocks.iter().all(|block| (block.rows(), block.slots()) == (inputs, SLOTS));
        let blocks = blocks.len();
        alike.then_some(Evaluation { stage, direction, blocks, inputs, outputs, channels, scale })
    }
}

impl Evaluator for EncryptedSession {
    fn version(&self) -> u64 {
        self.version
    }

    fn biases(&self) -> &[Vec<f32>] {
        &self.biases
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        blocks: &[&Tensor],
    ) -> Result<Vec<Tensor>, ClientError> {
        let Some(evaluation) = self.evaluation(stage, direction, blocks) else {
            return Err(no_product(stage, blocks, self.plan.stages.len()));
        };
        self.calls += 1;
        let mut server = TrainerRows::new(&mut self.stream, self.version, self.calls);
        let mut codec = RowCodec { key: &self.options.key, rng: &mut self.rng };
        rows::evaluate(&mut server, &mut codec, &evaluation, blocks)
    }

    fn seal(&mut self, update: &Update) -> Result<Sealed, ClientError> {
        let step = self.last_step.map_or(0, |last| last + 1);
        let (base_version, adopt_average) = (self.version, update.adopts_average);
        let header = Commit { step, base_version, adopt_average };
        let (key, rng) = (&self.options.key, &mut self.rng);
        let parts = commit::parts(&update.gradient, &update.bias_change, |changes| {
            let messages = Zeroizing::new(commit::bias_messages(changes));
            let rows = key.encrypt_rows(&messages, BIAS_WIDTH, rng);
            SeededBiases { seeds: rows.seeds, bodies: rows.bodies }
        });
        Ok(Sealed::of(wire::Sealed::new(opening(&self.options), header, parts)))
    }

    fn commit(&mut self, step: u64, sealed: &Sealed, update: &Update) -> Result<(), ClientError> {
        self.commit_sealed(step, sealed)?;
        for (biases, changes) in self.biases.iter_mut().zip(&update.bias_change) {
            biases.iter_mut().zip(changes).for_each(|(bias, change)| *bias += change);
        }
        Ok(())
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        let (client, options) = (self.client.clone(), self.options.clone());
        let opened = self.runtime.block_on(async { open(&client, &options).await })?;
        self.earlier = self.traffic();
        self.stream = opened.stream;
        self.scales = opened.scales;
        self.version = opened.version;
        self.last_step = opened.last_step;
        self.biases = opened.biases;
        Ok(self.last_step == Some(step))
    }

    fn traffic(&self) -> Traffic {
        let now = self.stream.traffic();
        Traffic { up: self.earlier.up + now.up, down: self.earlier.down + now.down }
    }
}

impl EncryptedSession {
    /// Sends a sealed commit as it is and waits until it is stored.
    ///
    /// # Errors
    /// [`crate::TrainingError::Sealed`] for one of another step or version; after a transient error
    /// reopen and repeat.
    pub fn commit_sealed(&mut self, step: u64, sealed: &Sealed) -> Result<(), ClientError> {
        let commit = sealed.commit();
        let header = commit.header();
        if (header.step, header.base_version) != (step, self.version) {
            let cause = format!(
                "it is step {} on version {}, asked for is step {step} on version {}",
                header.step, header.base_version, self.version
            );
            return Err(TrainingError::Sealed { cause }.into());
        }
        self.stream.send(Part::Commit(header))?;
        for part in commit.parts() {
            self.stream.send(Part::CommitChunk(part.clone()))?;
        }
        let reply = self.stream.receive()?;
        let Reply::Committed(committed) = reply else {
            return Err(self.stream.unexpected(&reply, "committed"));
        };
        if committed.step != step || committed.version != self.version + 1 {
            let got = format!("step {} as version {}", committed.step, committed.version);
            let expected = format!("step {step} as version {}", self.version + 1);
            return Err(self.stream.protocol(got, expected));
        }
        self.version = committed.version;
        self.last_step = Some(step);
        Ok(())
    }
}

/// The first message of a session.
fn opening(options: &SessionOptions) -> OpenSession {
    OpenSession {
        model_id: options.model_id.to_string(),
        key_id: options.key_id.to_string(),
        session_id: options.session_id.0.to_vec().into(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        optimizer: Some((&options.rule).into()),
    }
}

async fn open(client: &SphinxClient, options: &SessionOptions) -> Result<Opened, ClientError> {
    let request = opening(options);
    let (stream, opened) = TrainStream::open(&client.trainer, &request).await?;
    let model: Option<Model> = opened.model;
    let model = model.ok_or_else(|| stream.protocol("no model", "the session's model"))?;
    let network = model.network.ok_or_else(|| stream.protocol("no network", "a network"))?;
    let spec = NetworkSpec::try_from(network)?;
    let plan = Plan::new(&spec)?;
    if opened.stages.len() != plan.stages.len() {
        let got = format!("scales of {} stages", opened.stages.len());
        return Err(stream.protocol(got, format_args!("{}", plan.stages.len())));
    }
    let mut biases = Vec::with_capacity(plan.stages.len());
    for (index, stage) in plan.stages.iter().enumerate() {
        let count = stage.linear.bias_count();
        let (id, version, key) = (&options.model_id, model.version, &options.key);
        let values = client.biases(id, version, index, count, key).await?;
        // Another key decrypts to uniform numbers.
        if values.iter().any(|bias| bias.abs() > spec.bias_bound) {
            return Err(ClientKeyError::WrongKey { key_id: options.key_id.to_string() }.into());
        }
        biases.push(values);
    }
    let (version, last_step, scales) = (model.version, opened.last_step, opened.stages);
    Ok(Opened { stream, spec, plan, scales, version, last_step, biases })
}

/// A product that the network does not have, or tensors that are not blocks of its rows.
pub(crate) fn no_product(stage: usize, blocks: &[&Tensor], stages: usize) -> ClientError {
    let (rows, slots) = blocks.first().map_or((0, 0), |block| (block.rows(), block.slots()));
    TrainingError::NoProduct { stage, rows, slots, stages, expected: SLOTS }.into()
}
