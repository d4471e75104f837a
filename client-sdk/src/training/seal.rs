//! The exact bytes of a commit: the messages of a session that does nothing but commit it, so that whoever finds them in
//! a ledger can send them again without knowing how the training was set up.

use prost::Message;
use prost::bytes::Bytes;
use rand::CryptoRng;
use sha2::{Digest, Sha256};
use sphinx_linalg::{BIAS_SCALE_LOG2, BIAS_WIDTH, SLOTS};
use sphinx_proto::TrainingRule;
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::train_request::Part as Request;
use sphinx_proto::v1::{
    Commit, CommitChunk, EncryptedBiases, OpenSession, TrainRequest, WeightGradient,
};
use sphinx_secret::SecretKey;
use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::training::cloud::Update;

/// Scalars and biases per chunk: 0.5 MB and 0.4 MB.
const WEIGHTS_PER_CHUNK: usize = 131_072;
const BIASES_PER_CHUNK: usize = 32;

/// A commit as it was sealed.
pub(crate) struct Sealed {
    pub open: OpenSession,
    pub header: Commit,
    pub chunks: Vec<CommitChunk>,
}

impl Sealed {
    /// The update rule of the session that the commit belongs to.
    pub fn rule(&self) -> Result<TrainingRule, ClientError> {
        let optimizer = self.open.optimizer.ok_or_else(|| broken("it names no update rule"))?;
        Ok(TrainingRule::try_from(optimizer)?)
    }
}

fn broken(cause: impl ToString) -> ClientError {
    ClientError::Sealed { cause: cause.to_string() }
}

/// An update as the messages that commit it (opening, header, chunks), length-delimited one after the other.
pub(crate) fn seal(
    open: OpenSession,
    header: Commit,
    update: &Update,
    key: &SecretKey,
    rng: &mut impl CryptoRng,
) -> Vec<u8> {
    let mut sealed = Vec::new();
    let mut hash = Sha256::new();
    let mut send = |part: Request| {
        // Into a vector, encoding cannot run out of room.
        let message = TrainRequest { part: Some(part) }.encode_length_delimited_to_vec();
        sealed.extend_from_slice(&message);
    };
    send(Request::Open(open));
    send(Request::Commit(header));
    let mut push = |part: Part| send(Request::CommitChunk(CommitChunk { part: Some(part) }));
    for (stage, gradient) in update.gradient.iter().enumerate() {
        for (index, values) in gradient.chunks(WEIGHTS_PER_CHUNK).enumerate() {
            let values: Bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
            hash.update(&values);
            let offset = (index * WEIGHTS_PER_CHUNK) as u64;
            push(Part::Gradient(WeightGradient { stage: stage as u32, offset, values }));
        }
    }
    for (stage, changes) in update.bias_change.iter().enumerate() {
        for (index, changes) in changes.chunks(BIASES_PER_CHUNK).enumerate() {
            let part = encrypt(changes, key, rng);
            hash.update(&part.seeds);
            hash.update(&part.bodies);
            let offset = (index * BIASES_PER_CHUNK) as u32;
            push(Part::BiasChange(EncryptedBiases { stage: stage as u32, offset, ..part }));
        }
    }
    push(Part::Sha256(hash.finalize().to_vec().into()));
    sealed
}

/// The messages of sealed bytes.
///
/// # Errors
/// [`ClientError::Sealed`] for anything but bytes of [`seal`].
pub(crate) fn unseal(sealed: &[u8]) -> Result<Sealed, ClientError> {
    let mut rest = Bytes::copy_from_slice(sealed);
    let mut next = || -> Result<Option<Request>, ClientError> {
        if rest.is_empty() {
            return Ok(None);
        }
        let message = TrainRequest::decode_length_delimited(&mut rest).map_err(broken)?;
        message.part.map(Some).ok_or_else(|| broken("an empty message"))
    };
    let (Some(Request::Open(open)), Some(Request::Commit(header))) = (next()?, next()?) else {
        return Err(broken("it does not begin with a session and a commit"));
    };
    let mut chunks = Vec::new();
    while let Some(part) = next()? {
        let Request::CommitChunk(chunk) = part else {
            return Err(broken("something else than a commit's parts"));
        };
        chunks.push(chunk);
    }
    Ok(Sealed { open, header, chunks })
}

/// Each change in all coefficients of its ciphertext, so that it reaches every sample of a batch.
fn encrypt(changes: &[f32], key: &SecretKey, rng: &mut impl CryptoRng) -> EncryptedBiases {
    let scale = f64::from(BIAS_SCALE_LOG2).exp2();
    let message = |change: &f32| ((f64::from(*change) * scale) as i64).cast_unsigned();
    let messages: Zeroizing<Vec<u64>> = Zeroizing::new(
        changes.iter().flat_map(|change| std::iter::repeat_n(message(change), SLOTS)).collect(),
    );
    let rows = key.encrypt_rows(&messages, BIAS_WIDTH, rng);
    EncryptedBiases { stage: 0, offset: 0, seeds: rows.seeds.into(), bodies: rows.bodies.into() }
}
