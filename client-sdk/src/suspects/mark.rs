//! What is noted of a wrong product.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use sphinx_proto::{KeyId, ModelId};

/// Why a model is suspect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// The model.
    pub model: String,
    /// Its key.
    pub key_id: String,
    /// Which life of the model, in hexadecimal digits.
    pub incarnation: String,
    /// The version whose product was wrong.
    pub version: u64,
    /// The stage, counted from 0.
    pub stage: usize,
    /// `forward`, `backward` or `recognition`.
    pub phase: String,
    /// When, in seconds since 1970-01-01 UTC.
    pub unix_seconds: u64,
    /// The build that found it.
    pub build: String,
}

impl Suspect {
    /// A wrong product of a stage, found now by this build.
    pub fn now(
        (model, key_id, incarnation): (&ModelId, &KeyId, &[u8]),
        version: u64,
        stage: usize,
        phase: &str,
    ) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Self {
            model: model.to_string(),
            key_id: key_id.to_string(),
            incarnation: incarnation.iter().map(|byte| format!("{byte:02x}")).collect(),
            version,
            stage,
            phase: phase.to_owned(),
            unix_seconds: now.unwrap_or(Duration::ZERO).as_secs(),
            build: build(),
        }
    }

    /// What happened, in words.
    pub fn reason(&self) -> String {
        let Self { version, stage, phase, key_id, .. } = self;
        format!(
            "the service answered a product of version {version} wrongly (stage {stage}, {phase}), under key {key_id}"
        )
    }
}

/// This build, for whoever compares it with another.
pub(crate) fn build() -> String {
    let (version, system) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS);
    format!("{version} {}-{system}", std::env::consts::ARCH)
}
