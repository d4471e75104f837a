//! The ways in which a relay breaks a stream, message by message.

use bytes::Bytes;
use prost::Message;
use sphinx_proto::v1::TrainRequest;
use sphinx_proto::v1::commit_chunk::Part as Chunk;
use sphinx_proto::v1::train_request::Part;
use sphinx_testbed::relay::{Fate, Hand, pass};

/// What happens to one message of a stream, or to the rest from there on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// The stream ends before it, in good order, as behind a proxy that closes one half.
    Cut,
    /// The stream breaks before it.
    Break,
    /// It changes places with the next.
    Swap,
    /// It comes twice.
    Repeat,
    /// It is lost.
    Lose,
    /// One bit in the middle of its payload is flipped; it can still be read.
    Flip,
    /// Its first byte is altered so that it cannot be read.
    Garble,
    /// The stage that it names is another: it can be read and is wrong.
    Restage,
}

impl Way {
    /// A hand that does this to the first message for which `at` holds.
    pub fn hand(self, at: impl Fn(&Bytes) -> bool + Send + 'static) -> Hand {
        let mut done = false;
        let mut held = None;
        Box::new(move |message| {
            if let Some(first) = held.take() {
                return Fate::Send(vec![message, first]);
            }
            if done || !at(&message) {
                return pass(message);
            }
            done = true;
            match self {
                Self::Cut => Fate::End,
                Self::Break => Fate::Break,
                Self::Swap => {
                    held = Some(message);
                    Fate::Send(vec![])
                }
                Self::Repeat => Fate::Send(vec![message.clone(), message]),
                Self::Lose => Fate::Send(vec![]),
                Self::Flip => {
                    let middle = message.len() / 2;
                    pass(altered(&message, middle, |byte| byte ^ 0x10))
                }
                // Wire type 7 does not exist.
                Self::Garble => pass(altered(&message, 0, |byte| byte | 7)),
                Self::Restage => pass(restaged(&message)),
            }
        })
    }
}

/// A hand that changes nothing.
pub fn untouched() -> Hand {
    Box::new(pass)
}

fn altered(message: &Bytes, place: usize, change: impl Fn(u8) -> u8) -> Bytes {
    let mut bytes = message.to_vec();
    bytes[place] = change(bytes[place]);
    bytes.into()
}

fn restaged(message: &Bytes) -> Bytes {
    let mut request = TrainRequest::decode(message.clone()).unwrap();
    match request.part.as_mut() {
        Some(Part::CommitChunk(chunk)) => match chunk.part.as_mut().unwrap() {
            Chunk::Gradient(part) => part.stage ^= 16,
            Chunk::Sealed(_) | Chunk::Sha256(_) => panic!("a part without a stage"),
        },
        Some(Part::Evaluate(call)) => call.stage ^= 16,
        _ => panic!("a message without a stage"),
    }
    request.encode_to_vec().into()
}

/// The part that a message of `Train` is.
pub fn train_part(message: &Bytes) -> Part {
    TrainRequest::decode(message.clone()).unwrap().part.unwrap()
}

/// Whether a message is a commit's gradient of a stage.
pub fn is_gradient(stage: u32) -> impl Fn(&Bytes) -> bool + Copy {
    move |message| match train_part(message) {
        Part::CommitChunk(chunk) => {
            matches!(chunk.part, Some(Chunk::Gradient(part)) if part.stage == stage)
        }
        _ => false,
    }
}

/// Whether a message belongs to a commit.
pub fn is_of_commit(message: &Bytes) -> bool {
    matches!(train_part(message), Part::Commit(_) | Part::CommitChunk(_))
}
