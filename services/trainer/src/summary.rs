//! What is known of a version, in numbers.

use std::time::{Duration, SystemTime};

use sphinx_models::{ModelMeta, ModelStore, ModelVersion, StoreError};
use sphinx_proto::v1::VersionSummary;

/// The summary of a stored version; `previous` is the time of the version before, if it is known.
pub(crate) fn summary(version: &ModelVersion, previous: Option<i64>) -> VersionSummary {
    let scalars = |stages: &[Vec<f32>]| stages.iter().map(Vec::len).sum::<usize>();
    let averaged = version.averaged.as_deref().map_or(0, scalars);
    let floats = size_of::<f32>() * (scalars(&version.weights) + averaged);
    let written = version.updated_unix_seconds;
    VersionSummary {
        version: version.version,
        step: version.commit.map(|commit| commit.step),
        session_id: version
            .commit
            .map(|commit| commit.session.0.to_vec().into())
            .unwrap_or_default(),
        written: time(written),
        written_unix_seconds: written,
        seconds_since_previous: previous.map(|previous| written - previous),
        bytes: (floats + version.optimizer.len() + version.sealed.len()) as u64,
        optimizer_steps: version.optimizer_steps,
        averaged_steps: version.averaged_steps,
        chain: version.hashes.chain.to_vec().into(),
        weights_sha256: version.hashes.weights.to_vec().into(),
    }
}

fn time(unix_seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(unix_seconds).unwrap_or_default());
    let time = SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}

/// Reads versions one after the other and summarises them.
pub(crate) struct Summaries {
    /// Number and time of the version read last.
    last: Option<(u64, i64)>,
}

impl Summaries {
    /// Nothing is read yet.
    pub(crate) fn new() -> Self {
        Self { last: None }
    }

    /// The summary of a version; `None` for one that was pruned meanwhile.
    pub(crate) async fn read(
        &mut self,
        store: &ModelStore,
        meta: &ModelMeta,
        number: u64,
    ) -> Result<Option<VersionSummary>, StoreError> {
        let version = match store.load(meta, Some(number)).await {
            Ok(version) => version,
            Err(StoreError::NoVersion { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let last = self.last.filter(|(last, _)| last.checked_add(1) == Some(number));
        let summary = summary(&version, last.map(|(_, time)| time));
        self.last = Some((number, version.updated_unix_seconds));
        Ok(Some(summary))
    }
}
