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
    /// Memory for models prepared for one-shot recognition, bytes.
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
        let at_least_one = [
            ("limits.max_cache_bytes", self.max_cache_bytes),
            ("limits.max_preparation_rows", u64::from(self.max_preparation_rows)),
            ("limits.max_key_bytes", self.max_key_bytes),
            ("limits.max_one_shot_model_bytes", self.max_one_shot_model_bytes),
            ("limits.max_one_shot_evaluations", u64::from(self.max_one_shot_evaluations)),
        ];
        for (field, got) in at_least_one {
            if got == 0 {
                return Err(ConfigError::value(field, got, "at least 1"));
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
}
