//! `sphinx decrypt`: reads an answer that came some other way than through this program.

use std::io::Read;
use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sphinx_client::KeyId;
use sphinx_client::one_shot::{self, OneShotAnswer};
use sphinx_evaluation_keys::ANSWER_BODY_WIDTH;
use sphinx_offline::read_answer;

use crate::context::Context;
use crate::error::CliError;
use crate::files::read;
use crate::numbers::percent;
use crate::one_shot::AnswerJson;

/// Longest answer that is read, bytes of JSON; real ones have about 10 kB.
const MAX_JSON: u64 = 1 << 20;

/// Decrypt the answer to a one-shot recognition: a file, or what grpcurl prints
#[derive(Debug, Args)]
pub struct Decrypt {
    /// What `sphinx evaluate-once` wrote [default: JSON as grpcurl prints it, from standard input]
    file: Option<PathBuf>,
    /// The key that the request was encrypted with [default: the one whose evaluation keys the
    /// answer names]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
}

#[derive(Debug, Serialize)]
struct Decrypted {
    class: usize,
    probability: f32,
    probabilities: Vec<f32>,
}

fn from_stdin() -> Result<OneShotAnswer, CliError> {
    let mut text = String::new();
    std::io::stdin().take(MAX_JSON).read_to_string(&mut text).map_err(CliError::System)?;
    let answer: AnswerJson = serde_json::from_str(&text).map_err(|error| {
        CliError::Usage(format!("standard input holds no answer of InferOnce: {error}"))
    })?;
    OneShotAnswer::try_from(answer)
}

impl Decrypt {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let answer = match &self.file {
            Some(path) => OneShotAnswer::from(read_answer(read(path, MAX_JSON)?)?),
            None => from_stdin()?,
        };
        if !(answer.logit_scale.is_finite() && answer.logit_scale > 0.0) {
            let text = "an answer without the scale of its logits: it is damaged";
            return Err(CliError::Usage(text.to_owned()));
        }
        let key = context.workspace.home().key(&self.key_of(context, &answer.fingerprint)?)?;
        let (bytes, width) = (answer.bodies.len(), ANSWER_BODY_WIDTH.bytes());
        let classes = bytes / width;
        if classes < 2 || bytes % width != 0 {
            return Err(CliError::Usage(format!(
                "bodies of the answer have {bytes} bytes, expected {width} for each of two classes or more: the answer \
                 is empty or cut short"
            )));
        }
        let prediction = one_shot::decrypt(&key, answer, classes)?;
        let decrypted = Decrypted {
            class: prediction.class,
            probability: prediction.probability(),
            probabilities: prediction.probabilities,
        };
        context.output.result(&decrypted, || {
            let probability = percent(f64::from(decrypted.probability));
            format!("{} ({probability})", decrypted.class)
        })
    }

    /// The key that belongs to the evaluation keys of this fingerprint. What any other key decrypts
    /// looks like a class as well, so that none is tried which is known to be another.
    fn key_of(&self, context: &Context, fingerprint: &str) -> Result<KeyId, CliError> {
        let home = context.workspace.home();
        let mut owner = None;
        for id in home.key_ids()? {
            if home.evaluation_fingerprint(&id)?.is_some_and(|own| own.to_string() == fingerprint) {
                owner = Some(id);
            }
        }
        if let (Some(owner), None) = (&owner, &self.key) {
            return Ok(owner.clone());
        }
        let asked = context.choose_key(self.key.as_deref())?;
        let unknown = fingerprint.is_empty() || home.evaluation_fingerprint(&asked)?.is_none();
        match owner {
            Some(owner) if owner == asked => Ok(asked),
            // Nothing to compare: the tool left the fingerprint out, or evaluation keys were made
            // elsewhere.
            None if unknown => Ok(asked),
            owner => {
                let whose = owner.map_or_else(
                    || "of no key here".to_owned(),
                    |owner| format!("those of key {owner}"),
                );
                Err(CliError::Usage(format!(
                    "key {asked} cannot decrypt this answer: it was computed with evaluation keys {fingerprint}, {whose}"
                )))
            }
        }
    }
}
