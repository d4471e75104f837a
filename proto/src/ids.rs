//! Names and identifiers, checked once where they enter.

use std::fmt;

use crate::ConversionError;

/// Longest accepted name, bytes; keeps every object path below common file-name limits.
const MAX_NAME: usize = 64;

/// Who a request belongs to; every stored object lies under its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TenantId(String);

/// A model's name, unique within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId(String);

/// A key's name, unique within its tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct KeyId(String);

/// A training session: 16 random bytes chosen by the client.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SessionId(pub [u8; 16]);

impl TenantId {
    /// The field named in errors.
    pub const FIELD: &'static str = "x-sphinx-tenant";

    /// Checks a tenant's name.
    ///
    /// # Errors
    /// [`ConversionError::Name`] unless it matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub fn parse(name: impl Into<String>) -> Result<Self, ConversionError> {
        checked(Self::FIELD, name.into()).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TenantId {
    /// The tenant of requests that name none.
    fn default() -> Self {
        Self("default".to_owned())
    }
}

impl ModelId {
    /// The field named in errors.
    pub const FIELD: &'static str = "model_id";

    /// Checks a model's name.
    ///
    /// # Errors
    /// [`ConversionError::Name`] unless it matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub fn parse(name: impl Into<String>) -> Result<Self, ConversionError> {
        checked(Self::FIELD, name.into()).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl KeyId {
    /// The field named in errors.
    pub const FIELD: &'static str = "key_id";

    /// Checks a key's name.
    ///
    /// # Errors
    /// [`ConversionError::Name`] unless it matches `[a-z0-9][a-z0-9._-]{0,63}`.
    pub fn parse(name: impl Into<String>) -> Result<Self, ConversionError> {
        checked(Self::FIELD, name.into()).map(Self)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<&[u8]> for SessionId {
    type Error = ConversionError;

    fn try_from(bytes: &[u8]) -> Result<Self, ConversionError> {
        bytes.try_into().map(Self).map_err(|_| ConversionError::Length {
            field: "session_id",
            got: bytes.len(),
            expected: 16,
        })
    }
}

impl fmt::Display for TenantId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SessionId({self})")
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

fn checked(field: &'static str, name: String) -> Result<String, ConversionError> {
    let alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let starts_well = name.bytes().next().is_some_and(alphanumeric);
    let rest = name.bytes().all(|byte| alphanumeric(byte) || b"._-".contains(&byte));
    if starts_well && rest && name.len() <= MAX_NAME {
        Ok(name)
    } else {
        Err(ConversionError::Name { field, got: name.chars().take(80).collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_names_of_the_pattern() {
        for name in ["a", "0", "my-model_1.5", &"x".repeat(64)] {
            assert_eq!(ModelId::parse(name).unwrap().as_str(), name);
        }
        assert_eq!(TenantId::parse("default"), Ok(TenantId::default()));
    }

    #[test]
    fn rejects_names_outside_the_pattern() {
        for name in ["", ".", "..", "-a", "_a", "A", "a/b", "a b", "a\0", "é", &"x".repeat(65)] {
            let got = name.to_owned();
            assert_eq!(KeyId::parse(name), Err(ConversionError::Name { field: "key_id", got }));
        }
    }

    #[test]
    fn rejected_names_are_cut() {
        let Err(ConversionError::Name { got, .. }) = TenantId::parse("é".repeat(5000)) else {
            panic!("accepted");
        };
        assert_eq!(got.chars().count(), 80);
    }

    #[test]
    fn rejects_session_ids_of_another_length() {
        let expected = ConversionError::Length { field: "session_id", got: 15, expected: 16 };
        assert_eq!(SessionId::try_from([0_u8; 15].as_slice()), Err(expected));
        assert_eq!(SessionId::try_from([7_u8; 16].as_slice()), Ok(SessionId([7; 16])));
    }
}
