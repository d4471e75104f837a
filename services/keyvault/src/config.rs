//! The limits of the key vault.

use serde::{Deserialize, Serialize};
use sphinx_proto::v1::KeyVaultLimits;
use sphinx_runtime::{ConfigError, Limits};

/// The `[limits]` table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VaultLimits {
    /// Largest material of one key, bytes. Uploads are stored as they arrive; two at a time are
    /// held in memory to be checked.
    pub max_material_bytes: u64,
    /// Largest number of identities of one tenant. Without it one tenant could fill the disk.
    pub max_keys: u32,
    /// Largest number of evaluation keys of one tenant.
    pub max_evaluation_keys: u32,
    /// Unfinished uploads of evaluation keys kept for one tenant; a further one takes the place of
    /// the oldest.
    pub max_uploads: u32,
    /// How long an unfinished upload is kept after its last piece, seconds; looked at once an hour.
    pub max_upload_age_seconds: u64,
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
            max_evaluation_keys: 16,
            max_uploads: 4,
            max_upload_age_seconds: 24 * 60 * 60,
            max_chunk_bytes: 1 << 20,
            max_description_bytes: 200,
        }
    }
}

impl Limits for VaultLimits {
    fn validate(&self) -> Result<(), ConfigError> {
        for (field, got, most, expected) in [
            ("limits.max_material_bytes", self.max_material_bytes, 1 << 32, "1 to 4294967296"),
            ("limits.max_keys", u64::from(self.max_keys), 1 << 20, "1 to 1048576"),
            (
                "limits.max_evaluation_keys",
                u64::from(self.max_evaluation_keys),
                1 << 20,
                "1 to 1048576",
            ),
            ("limits.max_uploads", u64::from(self.max_uploads), 1 << 16, "1 to 65536"),
            (
                "limits.max_upload_age_seconds",
                self.max_upload_age_seconds,
                366 * 24 * 60 * 60,
                "1 to 31622400 (a year)",
            ),
            // What a gRPC message holds.
            ("limits.max_chunk_bytes", u64::from(self.max_chunk_bytes), 3 << 20, "1 to 3145728"),
        ] {
            if got == 0 || got > most {
                return Err(ConfigError::value(field, got, expected));
            }
        }
        if self.max_description_bytes > 1 << 16 {
            let (field, got) = ("limits.max_description_bytes", self.max_description_bytes);
            return Err(ConfigError::value(field, got, "at most 65536"));
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
            max_evaluation_keys: limits.max_evaluation_keys,
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
        let example = include_str!("../../../deploy/config/keyvault.toml");
        let config: Config<VaultLimits> = toml::from_str(example).unwrap();
        assert_eq!(config, Config::defaults(&crate::SERVICE));
        assert_eq!(config.validate(), Ok(()));
    }

    #[test]
    fn rejects_numbers_that_no_machine_has() {
        let with = |change: fn(&mut VaultLimits)| {
            let mut limits = VaultLimits::default();
            change(&mut limits);
            limits.validate().unwrap_err().to_string()
        };
        for (error, field) in [
            (with(|limits| limits.max_material_bytes = u64::MAX), "limits.max_material_bytes"),
            (with(|limits| limits.max_keys = u32::MAX), "limits.max_keys"),
            (with(|limits| limits.max_evaluation_keys = 0), "limits.max_evaluation_keys"),
            (with(|limits| limits.max_uploads = u32::MAX), "limits.max_uploads"),
            (
                with(|limits| limits.max_upload_age_seconds = u64::MAX),
                "limits.max_upload_age_seconds",
            ),
            (with(|limits| limits.max_chunk_bytes = (3 << 20) + 1), "limits.max_chunk_bytes"),
            (
                with(|limits| limits.max_description_bytes = u32::MAX),
                "limits.max_description_bytes",
            ),
        ] {
            assert!(error.starts_with(field), "{error}");
        }
    }
}
