//! Whose request it is.

use sphinx_proto::{ConversionError, TenantId};
use tonic::metadata::MetadataMap;

/// The tenant named by `x-sphinx-tenant`, or "default" when the request names none.
///
/// # Errors
/// [`ConversionError`] for a name outside the pattern, or for more than one name: which of them an
/// authenticating proxy has checked would be a guess.
pub fn tenant(metadata: &MetadataMap) -> Result<TenantId, ConversionError> {
    let mut names = metadata.get_all(TenantId::FIELD).iter();
    let Some(name) = names.next() else {
        return Ok(TenantId::default());
    };
    let also = names.count();
    if also > 0 {
        return Err(ConversionError::Length { field: TenantId::FIELD, got: also + 1, expected: 1 });
    }
    TenantId::parse(String::from_utf8_lossy(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use tonic::metadata::MetadataValue;

    use super::*;

    fn named(names: &[&'static str]) -> Result<TenantId, ConversionError> {
        let mut metadata = MetadataMap::new();
        for name in names {
            metadata.append("x-sphinx-tenant", MetadataValue::from_static(name));
        }
        tenant(&metadata)
    }

    #[test]
    fn the_default_tenant_needs_no_header() {
        assert_eq!(named(&[]), Ok(TenantId::default()));
        assert_eq!(named(&["acme"]), TenantId::parse("acme"));
    }

    #[test]
    fn rejects_bad_and_ambiguous_tenants() {
        let name = ConversionError::Name { field: "x-sphinx-tenant", got: "../acme".to_owned() };
        assert_eq!(named(&["../acme"]), Err(name));
        let count = ConversionError::Length { field: "x-sphinx-tenant", got: 2, expected: 1 };
        assert_eq!(named(&["acme", "other"]), Err(count));
    }
}
