//! `sphinx models watch` and `sphinx models history`.

use clap::Args;
use serde::Serialize;
use sphinx_client::{ModelId, VersionSummary};

use crate::context::Context;
use crate::error::CliError;
use crate::numbers::time;
use crate::output::table;

/// Print the versions of a model as they come
#[derive(Debug, Args)]
pub struct Watch {
    /// The model
    model: String,
    /// First version of interest [default: the newest]
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    /// Last version to wait for [default: until interrupted]
    #[arg(long, value_name = "VERSION")]
    until: Option<u64>,
}

/// Show the versions that are kept of a model
#[derive(Debug, Args)]
pub struct History {
    /// The model
    model: String,
}

/// A version as it is printed.
#[derive(Debug, Serialize)]
struct Shown {
    version: u64,
    step: Option<u64>,
    written: String,
    seconds_since_previous: Option<i64>,
    bytes: u64,
}

impl From<VersionSummary> for Shown {
    fn from(version: VersionSummary) -> Self {
        Self {
            version: version.version,
            step: version.step,
            written: time(version.written_unix_seconds),
            seconds_since_previous: version.seconds_since_previous,
            bytes: version.bytes,
        }
    }
}

impl Shown {
    fn since(&self) -> String {
        self.seconds_since_previous.map_or_else(|| "-".to_owned(), |seconds| format!("{seconds} s"))
    }

    fn step(&self) -> String {
        self.step.map_or_else(|| "-".to_owned(), |step| step.to_string())
    }
}

impl Watch {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let client = context.workspace.client();
        let mut watch = client.watch_model(&model_id, self.from, self.until).await?;
        while let Some(version) = watch.next().await? {
            let shown = Shown::from(version);
            let line = if context.output.json {
                serde_json::to_string(&shown).map_err(|error| CliError::Output(error.into()))?
            } else {
                let Shown { version, written, bytes, .. } = &shown;
                let (step, since) = (shown.step(), shown.since());
                format!("version {version}  step {step}  {written}  after {since}  {bytes} bytes")
            };
            context.output.text(&line)?;
        }
        Ok(())
    }
}

impl History {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        let model_id = ModelId::parse(self.model.as_str())?;
        let versions = context.workspace.client().versions(&model_id).await?;
        let versions: Vec<_> = versions.into_iter().map(Shown::from).collect();
        context.output.result(&versions, || {
            let rows = versions.iter().map(|version| {
                let Shown { version: number, written, bytes, .. } = version;
                [
                    number.to_string(),
                    version.step(),
                    written.clone(),
                    version.since(),
                    bytes.to_string(),
                ]
            });
            table(["VERSION", "STEP", "WRITTEN", "AFTER", "BYTES"], rows)
        })
    }
}
