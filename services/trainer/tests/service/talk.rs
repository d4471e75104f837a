//! A training session, message by message.

use std::time::Duration;

use sphinx_proto::v1::{
    Adam, Commit, Committed, Direction, Evaluate, EvaluateResult, InputRows, OpenSession,
    Optimizer, OutputRows, ParameterSet, Schedule, SessionOpened, TrainRequest, TrainResponse,
    commit_chunk::Part as Chunk, optimizer::Rule, schedule::Decay, train_request::Part,
    train_response::Part as Reply, trainer_client::TrainerClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use crate::common::{KEY, Trainer};
use crate::mirror::{Mirror, part_of, sealed_state};
use crate::updates::{chunks, gradients, with_hash};

/// Input and output rows of the stages of [`crate::common::network`].
pub const INPUTS: [usize; 2] = [36, 32];
pub const OUTPUTS: [usize; 2] = [32, 3];

/// Bytes of a seed, and of a mask or a body.
pub const SEED: usize = 16;
pub const POLYNOMIAL: usize = 2048 * 4;
/// Nothing of this takes longer; a test that hangs says where.
const PATIENCE: Duration = Duration::from_secs(20);

/// Both directions of an open session.
pub struct Talk {
    requests: mpsc::Sender<TrainRequest>,
    replies: Streaming<TrainResponse>,
    client: TrainerClient<Channel>,
    pub opened: SessionOpened,
    /// What the client knows of the session's version.
    pub mirror: Mirror,
}

/// The opening of a session on the model `m`.
pub fn opening(session: u8) -> OpenSession {
    OpenSession {
        model_id: "m".to_owned(),
        key_id: KEY.to_owned(),
        session_id: vec![session; 16].into(),
        parameter_set: ParameterSet::Glwe2048V1.into(),
        biases: 0,
        profile: 0,
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
        follows: None,
    }
}

impl Talk {
    pub async fn open(trainer: &Trainer, session: u8) -> Self {
        Self::begin(trainer.client.clone(), Part::Open(opening(session))).await.unwrap()
    }

    /// Sends `first`, waits for `opened`, and mirrors the version that it names.
    pub async fn begin(mut client: TrainerClient<Channel>, first: Part) -> Result<Self, Status> {
        let (requests, stream) = mpsc::channel(64);
        requests
            .send(TrainRequest { part: Some(first.clone()), ..TrainRequest::default() })
            .await
            .unwrap();
        let replies = client.train(ReceiverStream::new(stream));
        let mut replies = tokio::time::timeout(PATIENCE, replies).await.unwrap()?.into_inner();
        let opened = match next(&mut replies).await? {
            Reply::Opened(opened) => opened,
            other => panic!("{other:?} before the session was opened"),
        };
        let Part::Open(open) = first else { panic!("a session was opened by another part") };
        let mirror = Mirror::fetch(&mut client, &open, opened.state.as_ref().unwrap()).await;
        assert_eq!(opened.working_sha256, mirror.working_sha256()[..]);
        Ok(Self { requests, replies, client, opened, mirror })
    }

    pub async fn send(&self, part: Part) {
        // The service may have refused already; then the reply says so.
        let _ =
            self.requests.send(TrainRequest { part: Some(part), ..TrainRequest::default() }).await;
    }

    pub async fn reply(&mut self) -> Result<Reply, Status> {
        next(&mut self.replies).await
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

    /// A step along [`gradients`] of `tag`, and the mirror after it.
    pub fn update(&self, step: u64, base: u64, tag: u8) -> (Vec<Part>, Mirror) {
        self.update_of(step, base, &gradients(tag), tag)
    }

    pub fn update_of(
        &self,
        step: u64,
        base: u64,
        gradients: &[Vec<f32>],
        tag: u8,
    ) -> (Vec<Part>, Mirror) {
        let sealed = sealed_state(self.mirror.opening(), tag);
        let (header, next) = self.mirror.step(step, base, gradients, &sealed);
        (with_hash(header, chunks(gradients, sealed)), next)
    }

    /// The adoption of the averages, and the mirror after it.
    pub fn adoption(&self, step: u64, base: u64) -> (Vec<Part>, Mirror) {
        let sealed = sealed_state(self.mirror.opening(), 0);
        let (header, next) = self.mirror.adoption(step, base, &sealed);
        (with_hash(header, vec![Chunk::Sealed(sealed)]), next)
    }

    pub async fn commit(&mut self, step: u64, base: u64, tag: u8) -> Result<Committed, Status> {
        let update = self.update(step, base, tag);
        self.send_update(update).await
    }

    /// Sends an update and waits until it is stored; then mirrors what is.
    pub async fn send_update(
        &mut self,
        (parts, next): (Vec<Part>, Mirror),
    ) -> Result<Committed, Status> {
        for part in parts {
            self.send(part).await;
        }
        let committed = match self.reply().await? {
            Reply::Committed(committed) => committed,
            other => panic!("{other:?} instead of committed"),
        };
        if committed.repeated {
            let stored = part_of(&mut self.client, committed.version, None).await.state.unwrap();
            self.mirror = Mirror::fetch(&mut self.client, self.mirror.opening(), &stored).await;
        } else {
            self.mirror = next;
        }
        assert_eq!(committed.chain, self.mirror.chain[..]);
        Ok(committed)
    }
}

async fn next(replies: &mut Streaming<TrainResponse>) -> Result<Reply, Status> {
    let message = tokio::time::timeout(PATIENCE, replies.message()).await.unwrap()?;
    Ok(message.expect("the session ended without a reply").part.unwrap())
}

/// A complete result.
pub struct Product {
    pub header: EvaluateResult,
    pub output: Vec<OutputRows>,
}

impl Product {
    /// Number, mask and bodies of every row, by number.
    pub fn rows(&self) -> Vec<(u32, &[u8], &[u8])> {
        let mut rows: Vec<_> = self.output.iter().flat_map(output_rows).collect();
        rows.sort();
        rows
    }
}

fn output_rows(output: &OutputRows) -> impl Iterator<Item = (u32, &[u8], &[u8])> {
    let bodies = output.bodies.len() / output.rows.len();
    assert!(bodies > 0 && bodies.is_multiple_of(POLYNOMIAL), "{bodies}");
    let (masks, bodies) =
        (output.masks.chunks_exact(POLYNOMIAL), output.bodies.chunks_exact(bodies));
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
        bodies: noise(count * POLYNOMIAL, first as u8).into(),
    }
}

/// An announcement and all its rows, in chunks of ten.
pub fn evaluation(stage: u32, direction: Direction) -> Vec<Part> {
    let call = announcement(stage, direction);
    let rows = call.rows as usize;
    let chunks = (0..rows).step_by(10).map(|row| Part::Input(input(row, 10.min(rows - row))));
    std::iter::once(Part::Evaluate(call)).chain(chunks).collect()
}

/// A step that leads nowhere: for streams that are broken before anybody looks.
pub fn unchained(step: u64, base_version: u64, tag: u8) -> Vec<Part> {
    let rates = Some(Default::default());
    let header =
        Commit { step, base_version, rates, chain: vec![0; 32].into(), ..Commit::default() };
    with_hash(header, chunks(&gradients(tag), vec![tag].into()))
}

/// Bytes that look random and are the same every time.
pub fn noise(length: usize, tag: u8) -> Vec<u8> {
    let mut state = u64::from(tag) << 32 | 0x9e37_79b9;
    let mut next = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    (0..length).map(|_| next()).collect()
}
