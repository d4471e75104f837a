//! Specs as TOML.

use crate::error::SpecError;
use crate::spec::NetworkSpec;

impl NetworkSpec {
    /// Reads a spec from TOML. Whether its shapes fit is checked by [`crate::Plan::new`].
    ///
    /// # Errors
    /// [`SpecError::Toml`] with the line and what was expected there.
    pub fn from_toml(text: &str) -> Result<Self, SpecError> {
        Ok(toml::from_str(text)?)
    }

    /// Writes the spec as TOML that [`NetworkSpec::from_toml`] reads back unchanged.
    ///
    /// # Errors
    /// [`SpecError::TomlEncoding`] when a size exceeds the integers of TOML (2^63 - 1).
    pub fn to_toml(&self) -> Result<String, SpecError> {
        Ok(toml::to_string(self)?)
    }
}
