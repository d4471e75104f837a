//! `sphinx evaluate-once`: answers a request in one shot from files, without a service.

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use sphinx_client::data::shown;
use sphinx_offline::{Keys, Model, ModelFile, read_request, write_answer};

use crate::context::Context;
use crate::error::CliError;
use crate::files::{create, read};
use crate::output::program;

/// Largest files that are read, bytes.
const MAX_REQUEST: u64 = 4 << 20;
const MAX_MODEL: u64 = 256 << 20;
const MAX_KEYS: u64 = 32 << 20;

/// Answer a request in one shot from files, without a service and without a secret key
#[derive(Debug, Args)]
pub struct EvaluateOnce {
    /// The request, as `sphinx request one-shot --output` writes it
    request: PathBuf,
    /// The model, as `sphinx models bundle` writes it
    #[arg(long, value_name = "FILE")]
    model: PathBuf,
    /// The evaluation keys, as `sphinx keys new --evaluation` leaves them (`keys/ID.eval`)
    #[arg(long, value_name = "FILE")]
    keys: PathBuf,
    /// Where the answer goes, for `sphinx decrypt`
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
}

#[derive(Debug, Serialize)]
struct Answered {
    file: String,
    bytes: usize,
    fingerprint: String,
}

impl EvaluateOnce {
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        if self.output.exists() {
            return Err(CliError::OutputExists { path: self.output.clone() });
        }
        let request = read_request(read(&self.request, MAX_REQUEST)?)?;
        let model = Model::new(ModelFile::from_bytes(read(&self.model, MAX_MODEL)?)?)?;
        let keys = Keys::from_bytes(&read(&self.keys, MAX_KEYS)?)?;
        let bytes = write_answer(model.evaluate(&keys, request)?);
        create(&self.output, &bytes)?;
        let answered = Answered {
            file: shown(&self.output),
            bytes: bytes.len(),
            fingerprint: keys.fingerprint().to_owned(),
        };
        context.output.result(&answered, || {
            let Answered { file, bytes, .. } = &answered;
            format!("written  {file} ({bytes} bytes)\n\nread it   {} decrypt {file}", program())
        })
    }
}
