//! The trainer's own limits.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use sphinx_models::Retention;
use sphinx_runtime::{ConfigError, Limits};

/// Limits of the trainer, the `[limits]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerLimits {
    /// Training sessions open at once. Each holds one uploaded layer (16 kB per row) and one model
    /// version.
    pub max_sessions: usize,
    /// Rows of the largest layer of a model. An upload of that size is held in memory per session.
    pub max_stage_rows: usize,
    /// Weights of a model. Every commit writes them, and their optimiser state, anew.
    pub max_weights: usize,
    /// Newest versions kept of each model, for those who are at work with one.
    pub kept_versions: NonZeroU64,
    /// Older versions kept of each model at which a training session began: tickets of recognition
    /// that were prepared for one of them can be repaired, however long the training was. 0 keeps
    /// none.
    pub kept_beginnings: u64,
}

impl TrainerLimits {
    /// Which versions stay in the store.
    pub fn retention(&self) -> Retention {
        Retention { newest: self.kept_versions, beginnings: self.kept_beginnings }
    }
}

impl Default for TrainerLimits {
    fn default() -> Self {
        let Retention { newest, beginnings } = Retention::default();
        Self {
            max_sessions: 8,
            max_stage_rows: 16_384,
            max_weights: 4 << 20,
            kept_versions: newest,
            kept_beginnings: beginnings,
        }
    }
}

impl Limits for TrainerLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        let limits = [
            ("limits.max_sessions", self.max_sessions, tokio::sync::Semaphore::MAX_PERMITS),
            ("limits.max_stage_rows", self.max_stage_rows, usize::MAX),
            ("limits.max_weights", self.max_weights, usize::MAX),
        ];
        match limits.iter().find(|(_, got, most)| *got == 0 || got > most) {
            Some((field, got, _)) => Err(ConfigError::value(field, got, "at least 1")),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use sphinx_runtime::Config;

    use super::*;

    /// No layer of defaults stands below it here, so an option that the file leaves out is an
    /// error.
    #[test]
    fn the_commented_example_names_every_option_with_its_default() {
        let example = include_str!("../../../deploy/config/trainer.toml");
        let config: Config<TrainerLimits> = toml::from_str(example).unwrap();
        assert_eq!(config, Config::defaults(&crate::SERVICE));
        assert_eq!(config.validate(), Ok(()));
    }
}
