//! `sphinx decrypt`: reads an answer that some other tool received.

use std::io::Read;

use clap::Args;
use serde::Serialize;
use sphinx_bootstrap::ANSWER_BODY_WIDTH;
use sphinx_proto::v1::InferOnceResponse;

use crate::error::CliError;
use crate::numbers::percent;
use crate::one_shot::AnswerJson;
use crate::session::Session;

/// Longest answer that is read, bytes of JSON; real ones have about 10 kB.
const MAX_JSON: u64 = 1 << 20;

/// Decrypt the answer to a one-shot recognition, as grpcurl prints it, from standard input
#[derive(Debug, Args)]
pub struct Decrypt {
    /// The key that the request was encrypted with [default: the only one there is]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
}

#[derive(Debug, Serialize)]
struct Decrypted {
    class: usize,
    probability: f32,
    probabilities: Vec<f32>,
}

impl Decrypt {
    pub fn run(&self, session: &Session) -> Result<(), CliError> {
        let key = session.home.key(&session.choose_key(self.key.as_deref())?)?;
        let mut text = String::new();
        std::io::stdin().take(MAX_JSON).read_to_string(&mut text).map_err(CliError::System)?;
        let answer: AnswerJson = serde_json::from_str(&text).map_err(|error| {
            CliError::Usage(format!("standard input holds no answer of InferOnce: {error}"))
        })?;
        let answer = InferOnceResponse::try_from(answer)?;
        let classes = answer.bodies.len() / ANSWER_BODY_WIDTH.bytes();
        let prediction = sphinx_client::one_shot::decrypt(&key, answer, classes)?;
        let decrypted = Decrypted {
            class: prediction.class,
            probability: prediction.probability(),
            probabilities: prediction.probabilities,
        };
        session.output.result(&decrypted, || {
            let probability = percent(f64::from(decrypted.probability));
            format!("{} ({probability})", decrypted.class)
        })
    }
}
