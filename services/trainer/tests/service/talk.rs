//! A training session, message by message.

use std::time::Duration;

use sha2::{Digest, Sha256};
use sphinx_proto::v1::{
    Adam, Commit, CommitChunk, Committed, Direction, EncryptedBiases, Evaluate, EvaluateResult,
    InputRows, OpenSession, Optimizer, OutputRows, ParameterSet, Schedule, SessionOpened,
    TrainRequest, TrainResponse, WeightGradient, commit_chunk, optimizer::Rule, schedule::Decay,
    train_request::Part, train_response::Part as Reply, trainer_client::TrainerClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use crate::common::{KEY, Trainer};

/// Input and output rows, weights and biases of the stages of [`crate::common::network`].
pub const INPUTS: [usize; 2] = [36, 32];
pub const OUTPUTS: [usize; 2] = [32, 3];
const WEIGHTS: [usize; 2] = [18, 96];
const BIASES: [usize; 2] = [2, 3];

const SEED: usize = 16;
const BODY: usize = 2048 * 4;
const BIAS_BODY: usize = 2048 * 6;
/// Nothing of this takes longer; a test that hangs says where.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both directions of an open session.
pub struct Talk {
    requests: mpsc::Sender<TrainRequest>,
    replies: Streaming<TrainResponse>,
    pub opened: SessionOpened,
}

/// The opening of a session on the model `m`.
pub fn opening(session: u8) -> OpenSession {
    OpenSession {
        model_id: "m".to_owned(),
        key_id: KEY.to_owned(),
        session_id: vec![session; 16].into(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        optimizer: Some(Optimizer {
            rule: Some(Rule::Adam(Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 })),
            schedule: Some(Schedule {
                learning_rate: 0.01,
                decay: Decay::Constant.into(),
                floor: 0.0,
                warmup_steps: 0,
                total_steps: 10,
            }),
            averaging: None,
        }),
    }
}

impl Talk {
    pub async fn open(trainer: &Trainer, session: u8) -> Self {
        Self::begin(trainer.client.clone(), Part::Open(opening(session))).await.unwrap()
    }

    /// Sends `first` and waits for `opened`.
    pub async fn begin(client: TrainerClient<Channel>, first: Part) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(64);
        requests.send(TrainRequest { part: Some(first) }).await.unwrap();
        Self::over(client, requests, ReceiverStream::new(stream)).await
    }

    async fn over(
        mut client: TrainerClient<Channel>,
        requests: mpsc::Sender<TrainRequest>,
        stream: ReceiverStream<TrainRequest>,
    ) -> Result<Self, Status> {
        let replies = tokio::time::timeout(PATIENCE, client.train(stream)).await.unwrap()?;
        let opened = SessionOpened::default();
        let mut talk = Self { requests, replies: replies.into_inner(), opened };
        match talk.reply().await? {
            Reply::Opened(opened) => talk.opened = opened,
            other => panic!("{other:?} before the session was opened"),
        }
        Ok(talk)
    }

    pub async fn send(&self, part: Part) {
        // The service may have refused already; then the reply says so.
        let _ = self.requests.send(TrainRequest { part: Some(part) }).await;
    }

    pub async fn reply(&mut self) -> Result<Reply, Status> {
        let message = tokio::time::timeout(PATIENCE, self.replies.message()).await.unwrap()?;
        Ok(message.expect("the session ended without a reply").part.unwrap())
    }

    /// Ends the requests and returns the status that ends the replies.
    pub async fn end(mut self) -> Result<(), Status> {
        drop(self.requests);
        loop {
            let message = tokio::time::timeout(PATIENCE, self.replies.message()).await.unwrap()?;
            if message.is_none() {
                return Ok(());
            }
        }
    }

    /// The status with which the service refuses `parts`.
    pub async fn refusal(self, parts: impl IntoIterator<Item = Part>) -> Status {
        for part in parts {
            self.send(part).await;
        }
        self.end().await.expect_err("nothing was refused")
    }

    pub async fn evaluate(&mut self, stage: u32, direction: Direction) -> Result<Product, Status> {
        for part in evaluation(stage, direction) {
            self.send(part).await;
        }
        self.product().await
    }

    /// The result of the running evaluation.
    pub async fn product(&mut self) -> Result<Product, Status> {
        let header = match self.reply().await? {
            Reply::Result(header) => header,
            other => panic!("{other:?} instead of a result"),
        };
        let mut output = Vec::new();
        let mut missing = header.rows as usize;
        while missing > 0 {
            match self.reply().await? {
                Reply::Output(rows) => {
                    missing -= rows.rows.len();
                    output.push(rows);
                }
                other => panic!("{other:?} instead of output"),
            }
        }
        Ok(Product { header, output })
    }

    pub async fn commit(&mut self, step: u64, base: u64, tag: u8) -> Result<Committed, Status> {
        for part in update(step, base, tag) {
            self.send(part).await;
        }
        match self.reply().await? {
            Reply::Committed(committed) => Ok(committed),
            other => panic!("{other:?} instead of committed"),
        }
    }
}

/// A complete result.
pub struct Product {
    pub header: EvaluateResult,
    pub output: Vec<OutputRows>,
}

impl Product {
    /// Number, mask and body of every row, by number.
    pub fn rows(&self) -> Vec<(u32, &[u8], &[u8])> {
        let mut rows: Vec<_> = self.output.iter().flat_map(output_rows).collect();
        rows.sort();
        rows
    }
}

fn output_rows(output: &OutputRows) -> impl Iterator<Item = (u32, &[u8], &[u8])> {
    let (masks, bodies) =
        (output.masks.chunks_exact(2048 * 3), output.bodies.chunks_exact(2048 * 2));
    assert!(masks.remainder().is_empty() && bodies.remainder().is_empty());
    assert_eq!((masks.len(), bodies.len()), (output.rows.len(), output.rows.len()));
    output.rows.iter().zip(masks.zip(bodies)).map(|(row, (mask, body))| (*row, mask, body))
}

/// The announcement of a product on as many rows as the stage takes.
pub fn announcement(stage: u32, direction: Direction) -> Evaluate {
    let rows = if direction == Direction::Backward { OUTPUTS } else { INPUTS };
    let rows = rows.get(stage as usize).copied().unwrap_or(1) as u32;
    Evaluate { call: 40 + u64::from(stage), stage, direction: direction.into(), rows, blocks: 1 }
}

/// Rows from `first` on. Random bytes are as good a ciphertext as any to those without the key.
pub fn input(first: usize, count: usize) -> InputRows {
    InputRows {
        first_row: first as u32,
        seeds: noise(count * SEED, first as u8).into(),
        bodies: noise(count * BODY, first as u8).into(),
        block: 0,
    }
}

/// An announcement and all its rows, in chunks of ten.
pub fn evaluation(stage: u32, direction: Direction) -> Vec<Part> {
    let call = announcement(stage, direction);
    let rows = call.rows as usize;
    let chunks = (0..rows).step_by(10).map(|row| Part::Input(input(row, 10.min(rows - row))));
    std::iter::once(Part::Evaluate(call)).chain(chunks).collect()
}

pub fn chunk(part: commit_chunk::Part) -> Part {
    Part::CommitChunk(CommitChunk { part: Some(part) })
}

/// Gradients (in two parts each), bias changes, and the hash over all of it; `tag` tells updates
/// apart.
pub fn update(step: u64, base: u64, tag: u8) -> Vec<Part> {
    let mut chunks = Vec::new();
    for (stage, (weights, biases)) in WEIGHTS.into_iter().zip(BIASES).enumerate() {
        let first = weights / 3;
        chunks.push(gradient(stage, 0, vec![f32::from(tag) + 0.5; first]));
        chunks.push(gradient(stage, first, vec![-0.25; weights - first]));
        chunks.push(bias_change(stage, 0, biases, tag));
    }
    sealed(step, base, chunks)
}

/// The header of a commit, its chunks, and their hash.
pub fn sealed(step: u64, base: u64, chunks: Vec<commit_chunk::Part>) -> Vec<Part> {
    let mut hash = Sha256::new();
    for part in &chunks {
        match part {
            commit_chunk::Part::Gradient(part) => hash.update(&part.values),
            commit_chunk::Part::BiasChange(part) => {
                hash.update(&part.seeds);
                hash.update(&part.bodies);
            }
            commit_chunk::Part::Sha256(_) => {}
        }
    }
    let end = commit_chunk::Part::Sha256(hash.finalize().to_vec().into());
    let header = Part::Commit(Commit { step, base_version: base, adopt_average: false });
    std::iter::once(header).chain(chunks.into_iter().chain([end]).map(chunk)).collect()
}

pub fn gradient(stage: usize, offset: usize, values: Vec<f32>) -> commit_chunk::Part {
    commit_chunk::Part::Gradient(WeightGradient {
        stage: stage as u32,
        offset: offset as u64,
        values: values.iter().flat_map(|value| value.to_le_bytes()).collect(),
    })
}

pub fn bias_change(stage: usize, offset: usize, count: usize, tag: u8) -> commit_chunk::Part {
    commit_chunk::Part::BiasChange(EncryptedBiases {
        stage: stage as u32,
        offset: offset as u32,
        seeds: noise(count * SEED, tag).into(),
        bodies: noise(count * BIAS_BODY, tag).into(),
    })
}

/// The gradients and bias changes of [`update`], as they are before they are sealed.
pub fn chunks(tag: u8) -> Vec<commit_chunk::Part> {
    let parts = update(0, 0, tag).into_iter().filter_map(|part| match part {
        Part::CommitChunk(chunk) => chunk.part,
        _ => None,
    });
    parts.filter(|part| !matches!(part, commit_chunk::Part::Sha256(_))).collect()
}

/// Bytes that look random and are the same every time.
fn noise(length: usize, tag: u8) -> Vec<u8> {
    let mut state = u64::from(tag) << 32 | 0x9e37_79b9;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}
