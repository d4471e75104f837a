//! A training session at the trainer, on ciphertexts.

use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_gradient::Tensor;
use sphinx_linalg::{SEED_BYTES, SLOTS, Width};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{
    Commit, Direction as WireDirection, Evaluate, EvaluateResult, InputRows, Model, OpenSession,
    OutputRows, ParameterSet, StageScales,
};
use sphinx_proto::{KeyId, ModelId, SessionId, TrainingRule};
use sphinx_secret::SecretKey;
use tokio::runtime::Handle;

use crate::client::SphinxClient;
use crate::error::ClientError;
use crate::traffic::Traffic;
use crate::training::cloud::{Direction, LinearCloud, Update};
use crate::training::seal::{self, Sealed};
use crate::training::stream::TrainStream;

/// Rows per uploaded message: 0.5 MiB.
const CHUNK_ROWS: usize = 64;
const UPLOAD_WIDTH: Width = Width::Four;
const MASK_WIDTH: Width = Width::Three;
const BODY_WIDTH: Width = Width::Two;

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

    fn send_inputs(&mut self, input: &Tensor, scale: f64) -> Result<(), ClientError> {
        for first in (0..input.rows()).step_by(CHUNK_ROWS) {
            let rows = first..input.rows().min(first + CHUNK_ROWS);
            let values = &input.as_slice()[rows.start * SLOTS..rows.end * SLOTS];
            let mut messages = vec![0u32; values.len()];
            messages.par_chunks_mut(SLOTS).zip(values.par_chunks(SLOTS)).for_each(|(to, from)| {
                encode(from, scale as f32, to);
            });
            let sealed = self.options.key.encrypt_rows(&messages, UPLOAD_WIDTH, &mut self.rng);
            debug_assert_eq!(sealed.seeds.len(), rows.len() * SEED_BYTES);
            self.stream.send(Part::Input(InputRows {
                first_row: first as u32,
                seeds: sealed.seeds.into(),
                bodies: sealed.bodies.into(),
            }))?;
        }
        Ok(())
    }

    fn receive_outputs(&mut self, expected: usize, channels: usize) -> Result<Tensor, ClientError> {
        let reply = self.stream.receive()?;
        let Reply::Result(header) = reply else {
            return Err(self.stream.unexpected(&reply, "result"));
        };
        self.check_header(&header, expected, channels)?;
        let rows_per_channel = expected / channels;
        let mut tensor = Tensor::zeros(expected, SLOTS)?;
        let mut missing = expected;
        let mut seen = vec![false; expected];
        while missing > 0 {
            let reply = self.stream.receive()?;
            let Reply::Output(rows) = reply else {
                return Err(self.stream.unexpected(&reply, "output"));
            };
            for &row in &rows.rows {
                match seen.get_mut(row as usize) {
                    Some(seen) if !*seen => *seen = true,
                    Some(_) | None => {
                        let got = format!("output row {row} again or beyond {expected}");
                        return Err(self.stream.protocol(got, "each output row once"));
                    }
                }
            }
            missing -= rows.rows.len();
            self.decrypt(&rows, &header.scales, rows_per_channel, &mut tensor)?;
        }
        Ok(tensor)
    }

    fn check_header(
        &self,
        header: &EvaluateResult,
        rows: usize,
        channels: usize,
    ) -> Result<(), ClientError> {
        let usable = |scale: &f64| scale.is_finite() && *scale > 0.0;
        let fits = header.call == self.calls
            && header.version == self.version
            && header.rows as usize == rows
            && header.scales.len() == channels
            && header.scales.iter().all(usable);
        if fits {
            return Ok(());
        }
        let got = format!(
            "result of call {} on version {} with {} rows and {} scales",
            header.call,
            header.version,
            header.rows,
            header.scales.len()
        );
        let (call, version) = (self.calls, self.version);
        let expected = format!("call {call}, version {version}, {rows} rows, {channels} scales");
        Err(self.stream.protocol(got, expected))
    }

    fn decrypt(
        &self,
        output: &OutputRows,
        scales: &[f64],
        rows_per_channel: usize,
        tensor: &mut Tensor,
    ) -> Result<(), ClientError> {
        let mut values = vec![0f32; output.rows.len() * SLOTS];
        self.options.key.decrypt_rows(
            (&output.masks, MASK_WIDTH),
            (&output.bodies, BODY_WIDTH),
            &mut values,
            |index, phase: &[u32], out: &mut [f32]| {
                let scale = scales[output.rows[index] as usize / rows_per_channel];
                decode(phase, (1.0 / scale) as f32, out);
            },
        )?;
        let slice = tensor.as_mut_slice();
        for (row, values) in output.rows.iter().zip(values.chunks_exact(SLOTS)) {
            slice[*row as usize * SLOTS..][..SLOTS].copy_from_slice(values);
        }
        Ok(())
    }
}

impl LinearCloud for EncryptedSession {
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
        input: &Tensor,
    ) -> Result<Tensor, ClientError> {
        let (Some(shape), Some(&scales), SLOTS) =
            (self.plan.stages.get(stage), self.scales.get(stage), input.slots())
        else {
            return Err(no_product(stage, input, self.plan.stages.len()));
        };
        let (scale, result) = match direction {
            Direction::Forward => (scales.forward_input, shape.output),
            Direction::Backward => (scales.backward_input, shape.input),
        };
        self.calls += 1;
        self.stream.send(Part::Evaluate(Evaluate {
            call: self.calls,
            stage: stage as u32,
            direction: WireDirection::from(direction).into(),
            rows: input.rows() as u32,
        }))?;
        self.send_inputs(input, scale)?;
        self.receive_outputs(result.len(), result.channels)
    }

    fn seal(&mut self, update: &Update) -> Result<Vec<u8>, ClientError> {
        let step = self.last_step.map_or(0, |last| last + 1);
        let (base_version, adopt_average) = (self.version, update.adopts_average);
        let (open, header) = (opening(&self.options), Commit { step, base_version, adopt_average });
        Ok(seal::seal(open, header, update, &self.options.key, &mut self.rng))
    }

    fn commit(&mut self, step: u64, sealed: &[u8], update: &Update) -> Result<(), ClientError> {
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
    /// Sends sealed bytes as they are and waits until they are stored.
    ///
    /// # Errors
    /// [`ClientError::Sealed`] for bytes of another step or version; after a transient error reopen and repeat.
    pub fn commit_sealed(&mut self, step: u64, sealed: &[u8]) -> Result<(), ClientError> {
        let Sealed { header, chunks, .. } = seal::unseal(sealed)?;
        if (header.step, header.base_version) != (step, self.version) {
            let cause = format!(
                "it is step {} on version {}, asked for is step {step} on version {}",
                header.step, header.base_version, self.version
            );
            return Err(ClientError::Sealed { cause });
        }
        self.stream.send(Part::Commit(header))?;
        for chunk in chunks {
            self.stream.send(Part::CommitChunk(chunk))?;
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
            return Err(ClientError::WrongKey { key_id: options.key_id.to_string() });
        }
        biases.push(values);
    }
    let (version, last_step, scales) = (model.version, opened.last_step, opened.stages);
    Ok(Opened { stream, spec, plan, scales, version, last_step, biases })
}

/// A product that the network does not have, or a tensor that is no block.
pub(crate) fn no_product(stage: usize, input: &Tensor, stages: usize) -> ClientError {
    let (rows, slots) = (input.rows(), input.slots());
    ClientError::NoProduct { stage, rows, slots, stages, expected: SLOTS }
}

/// Activations as integers modulo 2^32, rounded.
fn encode(values: &[f32], scale: f32, messages: &mut [u32]) {
    for (message, value) in messages.iter_mut().zip(values) {
        *message = ((value * scale).round_ties_even() as i32).cast_unsigned();
    }
}

/// Integers modulo 2^32 as values.
fn decode(phase: &[u32], unit: f32, values: &mut [f32]) {
    for (value, word) in values.iter_mut().zip(phase) {
        *value = word.cast_signed() as f32 * unit;
    }
}
