//! The limits of the key vault.

use serde::{Deserialize, Serialize};
use sphinx_proto::v1::KeyVaultLimits;
use sphinx_runtime::{ConfigError, Limits};

/// The `[limits]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultLimits {
    /// Largest material of one key, bytes. Each upload is held in memory until it is checked, so
    /// `server.max_concurrent_requests` times this is what uploads can take.
    pub max_material_bytes: u64,
    /// Largest number of keys of one tenant. Without it one tenant could fill the disk.
    pub max_keys: u32,
    /// Largest chunk of an upload, bytes; below the transport's own limit of 4 MiB per message.
    pub max_chunk_bytes: u32,
    /// Largest description, bytes; it is returned with every listing.
    pub max_description_bytes: u32,
}

impl Default for VaultLimits {
    fn default() -> Self {
        Self {
            max_material_bytes: 64 << 20,
            max_keys: 256,
            max_chunk_bytes: 1 << 20,
            max_description_bytes: 200,
        }
    }
}

impl Limits for VaultLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        let at_least_one = [
            ("limits.max_material_bytes", self.max_material_bytes),
            ("limits.max_keys", u64::from(self.max_keys)),
            ("limits.max_chunk_bytes", u64::from(self.max_chunk_bytes)),
        ];
        for (field, got) in at_least_one {
            if got == 0 {
                return Err(ConfigError::value(field, got, "at least 1"));
            }
        }
        if self.max_chunk_bytes > 3 << 20 {
            let got = self.max_chunk_bytes;
            return Err(ConfigError::value("limits.max_chunk_bytes", got, "at most 3145728"));
        }
        Ok(())
    }
}

impl From<VaultLimits> for KeyVaultLimits {
    fn from(limits: VaultLimits) -> Self {
        Self {
            max_material_bytes: limits.max_material_bytes,
            max_keys: limits.max_keys,
            max_chunk_bytes: limits.max_chunk_bytes,
        }
    }
}

#[cfg(test)]
mod tests {
    use sphinx_runtime::Config;

    use super::*;

    /// No layer of defaults stands below it here, so an option that the file leaves out is an error.
    #[test]
    fn the_commented_example_names_every_option_with_its_default() {
        let example = include_str!("../../../deploy/config/keyvault.toml");
        let config: Config<VaultLimits> = toml::from_str(example).unwrap();
        assert_eq!(config, Config::defaults(&crate::SERVICE));
        assert_eq!(config.validate(), Ok(()));
    }
}
