//! The limits of the inference service.

use serde::{Deserialize, Serialize};
use sphinx_runtime::{ConfigError, Limits};

/// The `[limits]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InferenceLimits {
    /// Memory for loaded model versions, bytes. Without it tenants with many models would exhaust
    /// it; with too little of it every call reads its model from the store.
    pub max_cache_bytes: u64,
    /// Ciphertext rows held by all `Prepare` streams together, 32 KiB each: their inputs and the
    /// results under way. Streams beyond it are told to come back later, stages beyond it are
    /// refused.
    pub max_preparation_rows: u32,
    /// Memory for tenants' evaluation keys, bytes: about 100 MB each. Beyond it the keys used least
    /// recently are dropped and fetched again when they are needed.
    pub max_key_bytes: u64,
    /// Memory for models prepared for one-shot recognition, bytes: those whose logits are packed,
    /// and as much again for linear ones whose are not.
    pub max_one_shot_model_bytes: u64,
    /// One-shot recognitions computed at once, each on all compute threads; sixteen more wait. Each
    /// may hold keys that fell out of the cache while it runs.
    pub max_one_shot_evaluations: u32,
}

impl Default for InferenceLimits {
    fn default() -> Self {
        Self {
            max_cache_bytes: 512 << 20,
            max_preparation_rows: 24 << 10,
            max_key_bytes: 256 << 20,
            max_one_shot_model_bytes: 128 << 20,
            max_one_shot_evaluations: 2,
        }
    }
}

impl Limits for InferenceLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        const TERABYTE: u64 = 1 << 40;
        for (field, got, most, expected) in [
            ("limits.max_cache_bytes", self.max_cache_bytes, TERABYTE, "1 to 1099511627776"),
            (
                "limits.max_preparation_rows",
                u64::from(self.max_preparation_rows),
                1 << 24,
                "1 to 16777216",
            ),
            ("limits.max_key_bytes", self.max_key_bytes, TERABYTE, "1 to 1099511627776"),
            (
                "limits.max_one_shot_model_bytes",
                self.max_one_shot_model_bytes,
                TERABYTE,
                "1 to 1099511627776",
            ),
            (
                "limits.max_one_shot_evaluations",
                u64::from(self.max_one_shot_evaluations),
                1 << 16,
                "1 to 65536",
            ),
        ] {
            if got == 0 || got > most {
                return Err(ConfigError::value(field, got, expected));
            }
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
        let example = include_str!("../../../deploy/config/inference.toml");
        let config: Config<InferenceLimits> = toml::from_str(example).unwrap();
        assert_eq!(config, Config::defaults(&crate::SERVICE));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn rejects_numbers_that_no_machine_has() {
        let with = |change: fn(&mut InferenceLimits)| {
            let mut limits = InferenceLimits::default();
            change(&mut limits);
            limits.validate().unwrap_err().to_string()
        };
        for (error, field) in [
            (with(|limits| limits.max_cache_bytes = u64::MAX), "limits.max_cache_bytes"),
            (with(|limits| limits.max_preparation_rows = u32::MAX), "limits.max_preparation_rows"),
            (with(|limits| limits.max_key_bytes = 0), "limits.max_key_bytes"),
            (
                with(|limits| limits.max_one_shot_model_bytes = u64::MAX),
                "limits.max_one_shot_model_bytes",
            ),
            (
                with(|limits| limits.max_one_shot_evaluations = u32::MAX),
                "limits.max_one_shot_evaluations",
            ),
        ] {
            assert!(error.starts_with(field), "{error}");
        }
    }
}
