//! A commit as the exact bytes that are recorded before it leaves and sent again after a break.
//!
//! The bytes are the messages of a `Train` stream that does nothing but commit (opening, header,
//! parts), each with its length in front, so that whoever finds them in a ledger can send them
//! again without knowing how the training was set up.

use bytes::Bytes;
use prost::Message;
use sphinx_optimizer::TrainingRule;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::{Commit, CommitChunk, OpenSession, TrainRequest};

/// Bytes that are not a sealed commit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SealedError(String);

/// A commit with its exact bytes. `Default` is the commit of a training that sends nothing.
#[derive(Clone, Default, PartialEq)]
pub struct Sealed {
    bytes: Vec<u8>,
    open: OpenSession,
    header: Commit,
    parts: Vec<CommitChunk>,
}

impl Sealed {
    /// Seals the messages of a commit.
    pub fn new(open: OpenSession, header: Commit, parts: Vec<CommitChunk>) -> Self {
        let mut bytes = Vec::new();
        let mut write = |part: Part| {
            // Into a vector, encoding cannot run out of room.
            let message = TrainRequest { part: Some(part), ..TrainRequest::default() };
            bytes.extend_from_slice(&message.encode_length_delimited_to_vec());
        };
        write(Part::Open(open.clone()));
        write(Part::Commit(header.clone()));
        parts.iter().for_each(|part| write(Part::CommitChunk(part.clone())));
        Self { bytes, open, header, parts }
    }

    /// Reads sealed bytes.
    ///
    /// # Errors
    /// [`SealedError`] for anything but bytes of [`Sealed::new`].
    pub fn read(bytes: Vec<u8>) -> Result<Self, SealedError> {
        let mut rest = Bytes::copy_from_slice(&bytes);
        let mut next = || -> Result<Option<Part>, SealedError> {
            if rest.is_empty() {
                return Ok(None);
            }
            let message = TrainRequest::decode_length_delimited(&mut rest);
            let message = message.map_err(|error| SealedError(error.to_string()))?;
            message.part.map(Some).ok_or_else(|| SealedError("an empty message".to_owned()))
        };
        let (Some(Part::Open(open)), Some(Part::Commit(header))) = (next()?, next()?) else {
            return Err(SealedError("it does not begin with a session and a commit".to_owned()));
        };
        let mut parts = Vec::new();
        while let Some(part) = next()? {
            let Part::CommitChunk(chunk) = part else {
                return Err(SealedError("it holds more than a commit's parts".to_owned()));
            };
            parts.push(chunk);
        }
        Ok(Self { bytes, open, header, parts })
    }

    /// What is recorded before the commit leaves.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Step and base version.
    pub fn header(&self) -> &Commit {
        &self.header
    }

    /// Gradient, sealed state and hash, in the order in which they are sent.
    pub fn parts(&self) -> &[CommitChunk] {
        &self.parts
    }

    /// The update rule of the session that the commit belongs to.
    ///
    /// # Errors
    /// [`SealedError`] if the opening names no rule, or one outside its domain.
    pub fn rule(&self) -> Result<TrainingRule, SealedError> {
        let optimizer = self.open.optimizer;
        let optimizer =
            optimizer.ok_or_else(|| SealedError("it names no update rule".to_owned()))?;
        TrainingRule::try_from(optimizer).map_err(|error| SealedError(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use sphinx_proto::v1::commit_chunk::Part as Chunk;

    use super::*;

    fn sealed() -> Sealed {
        let header = Commit { step: 3, base_version: 9, ..Commit::default() };
        let part = CommitChunk { part: Some(Chunk::Sha256(vec![1; 32].into())) };
        Sealed::new(OpenSession::default(), header, vec![part])
    }

    #[test]
    fn bytes_read_back_are_the_same_commit() {
        let sealed = sealed();
        let read = Sealed::read(sealed.bytes().to_vec()).unwrap();
        assert!(read == sealed && read.header().step == 3 && read.parts().len() == 1);
    }

    #[test]
    fn rejects_bytes_that_are_not_a_sealed_commit() {
        let bytes = sealed().bytes().to_vec();
        assert!(Sealed::read(Vec::new()).is_err());
        for end in 1..bytes.len() {
            // Cut between messages the rest may be whole; its commit then lacks parts, which the
            // trainer's reader refuses.
            if let Ok(read) = Sealed::read(bytes[..end].to_vec()) {
                assert!(read.parts().is_empty());
            }
        }
        let two = [bytes.clone(), bytes].concat();
        assert!(Sealed::read(two).is_err());
        assert!(sealed().rule().is_err(), "an opening without a rule");
    }
}
