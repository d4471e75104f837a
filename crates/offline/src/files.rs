//! The forms of files.

use bytes::Bytes;
use prost::Message;
use sphinx_objects::record::{Record, seal, unseal};
use sphinx_proto::v1::{InferOnceRequest, InferOnceResponse, Network, OneShotBiases};

use crate::error::OfflineError;

/// A version of a model, as much of it as an evaluation needs: nothing of it is secret from the
/// service that trained it.
#[derive(Clone, PartialEq, Message)]
pub struct ModelFile {
    /// The model's name.
    #[prost(string, tag = "1")]
    pub model_id: String,
    /// The key that its biases are encrypted under.
    #[prost(string, tag = "2")]
    pub key_id: String,
    /// The version.
    #[prost(uint64, tag = "3")]
    pub version: u64,
    /// Which life of the model.
    #[prost(bytes = "bytes", tag = "4")]
    pub incarnation: Bytes,
    /// The network.
    #[prost(message, optional, tag = "5")]
    pub network: Option<Network>,
    /// By stage: little-endian f32, out channel, in channel, row, column.
    #[prost(bytes = "bytes", repeated, tag = "6")]
    pub weights: Vec<Bytes>,
    /// By stage, encrypted.
    #[prost(message, repeated, tag = "7")]
    pub biases: Vec<OneShotBiases>,
}

impl Record for ModelFile {
    const TYPE: &'static str = "one-shot-model";
    const FORMAT: u16 = 1;
}

/// A request in a file.
#[derive(Clone, PartialEq, Message)]
struct RequestFile {
    #[prost(message, optional, tag = "1")]
    request: Option<InferOnceRequest>,
}

impl Record for RequestFile {
    const TYPE: &'static str = "one-shot-request";
    const FORMAT: u16 = 1;
}

/// An answer in a file.
#[derive(Clone, PartialEq, Message)]
struct AnswerFile {
    #[prost(message, optional, tag = "1")]
    answer: Option<InferOnceResponse>,
}

impl Record for AnswerFile {
    const TYPE: &'static str = "one-shot-answer";
    const FORMAT: u16 = 1;
}

impl ModelFile {
    /// The bytes of a file.
    pub fn to_bytes(&self) -> Bytes {
        seal(self)
    }

    /// Reads [`ModelFile::to_bytes`].
    ///
    /// # Errors
    /// [`OfflineError::File`].
    pub fn from_bytes(bytes: Bytes) -> Result<Self, OfflineError> {
        read("model for recognition in one shot", bytes)
    }
}

/// The bytes of a request's file.
pub fn write_request(request: InferOnceRequest) -> Bytes {
    seal(&RequestFile { request: Some(request) })
}

/// Reads [`write_request`].
///
/// # Errors
/// [`OfflineError::File`].
pub fn read_request(bytes: Bytes) -> Result<InferOnceRequest, OfflineError> {
    let RequestFile { request } = read("request in one shot", bytes)?;
    Ok(request.unwrap_or_default())
}

/// The bytes of an answer's file.
pub fn write_answer(answer: InferOnceResponse) -> Bytes {
    seal(&AnswerFile { answer: Some(answer) })
}

/// Reads [`write_answer`].
///
/// # Errors
/// [`OfflineError::File`].
pub fn read_answer(bytes: Bytes) -> Result<InferOnceResponse, OfflineError> {
    let AnswerFile { answer } = read("answer in one shot", bytes)?;
    Ok(answer.unwrap_or_default())
}

fn read<R: Record>(what: &'static str, bytes: Bytes) -> Result<R, OfflineError> {
    unseal(bytes).map_err(|cause| OfflineError::File { what, cause })
}
