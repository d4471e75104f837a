//! The trainer's own limits.

use std::num::NonZeroU64;

use serde::{Deserialize, Serialize};
use sphinx_models::Retention;
use sphinx_runtime::{ConfigError, Limits};

/// A pebibyte.
const MAX_STORED_BYTES: u64 = 1 << 50;

/// Limits of the trainer, the `[limits]` table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainerLimits {
    /// Training sessions open at once. Each holds one uploaded layer (16 kB per row) and one model
    /// version. A tenant holds at most three for each that is free.
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
    /// Bytes stored of one tenant's models, from which on it can make no further model, open no
    /// session and store no biases; 0 for no limit. Sessions that are open go on, so a tenant can
    /// come to hold as many more as its models grow by until their oldest versions are pruned.
    /// Without it one tenant could fill the disk.
    pub max_stored_bytes_of_tenant: u64,
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
            max_stored_bytes_of_tenant: 0,
        }
    }
}

impl Limits for TrainerLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        for (field, got, most, expected) in [
            ("limits.max_sessions", self.max_sessions, 1 << 16, "1 to 65536"),
            ("limits.max_stage_rows", self.max_stage_rows, 1 << 24, "1 to 16777216"),
            ("limits.max_weights", self.max_weights, 1 << 32, "1 to 4294967296"),
        ] {
            if got == 0 || got > most {
                return Err(ConfigError::value(field, got, expected));
            }
        }
        for (field, got) in [
            ("limits.kept_versions", self.kept_versions.get()),
            ("limits.kept_beginnings", self.kept_beginnings),
        ] {
            if got > 1 << 20 {
                return Err(ConfigError::value(field, got, "at most 1048576"));
            }
        }
        if self.max_stored_bytes_of_tenant > MAX_STORED_BYTES {
            let field = "limits.max_stored_bytes_of_tenant";
            let expected = "at most 1125899906842624";
            return Err(ConfigError::value(field, self.max_stored_bytes_of_tenant, expected));
        }
        Ok(())
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

    #[test]
    fn rejects_numbers_that_no_machine_has() {
        let with = |change: fn(&mut TrainerLimits)| {
            let mut limits = TrainerLimits::default();
            change(&mut limits);
            limits.validate().unwrap_err().to_string()
        };
        for (error, field) in [
            (with(|limits| limits.max_sessions = 0), "limits.max_sessions"),
            (with(|limits| limits.max_sessions = 1 << 17), "limits.max_sessions"),
            (with(|limits| limits.max_stage_rows = usize::MAX), "limits.max_stage_rows"),
            (with(|limits| limits.max_weights = usize::MAX), "limits.max_weights"),
            (with(|limits| limits.kept_versions = NonZeroU64::MAX), "limits.kept_versions"),
            (with(|limits| limits.kept_beginnings = u64::MAX), "limits.kept_beginnings"),
            (
                with(|limits| limits.max_stored_bytes_of_tenant = u64::MAX),
                "limits.max_stored_bytes_of_tenant",
            ),
        ] {
            assert!(error.starts_with(field), "{error}");
        }
    }
}
