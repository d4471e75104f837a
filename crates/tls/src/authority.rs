//! An authority of one's own, and the certificates that it gives out.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose,
};

/// The name of every authority made here; their keys tell them apart.
const AUTHORITY_NAME: &str = "Sphinx authority";
/// Certificates count from an hour ago on: clocks differ.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Ten years; what it gives out counts for less.
const AUTHORITY_DAYS: u32 = 3653;

/// Why a certificate could not be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the certificate cannot be made: {0}")]
pub struct AuthorityError(String);

/// Who shows a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A service, to its clients and, as a client, to the key vault.
    Service,
    /// A client, to the services.
    Client,
}

/// A certificate with its key, as PEM. Only the certificate is shown by `Debug`.
pub struct Issued {
    /// The certificate.
    pub certificate: String,
    /// Its private key.
    pub key: String,
}

/// An authority: a key that vouches for services and clients.
pub struct Authority(Issuer<'static, KeyPair>);

impl Authority {
    /// A new authority, and its certificate and key. ECDSA on P-256, as everything here.
    ///
    /// # Errors
    /// [`AuthorityError`] if the system has no randomness.
    pub fn generate() -> Result<(Self, Issued), AuthorityError> {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = Self::params()?;
        counting_for(&mut params, AUTHORITY_DAYS);
        let certificate = params.self_signed(&key).map_err(wrong)?.pem();
        let issued = Issued { certificate, key: key.serialize_pem() };
        Ok((Self(Issuer::new(params, key)), issued))
    }

    /// The authority of a key that [`Authority::generate`] made.
    ///
    /// # Errors
    /// [`AuthorityError`] for what is no key.
    pub fn of_key(pem: &str) -> Result<Self, AuthorityError> {
        // The cause may quote the key.
        let key = KeyPair::from_pem(pem)
            .map_err(|_| AuthorityError("the authority's key is no private key".to_owned()))?;
        Ok(Self(Issuer::new(Self::params()?, key)))
    }

    /// A certificate for who is called `name` and found under `hosts` (DNS names and IP addresses),
    /// counting for `days`.
    ///
    /// # Errors
    /// [`AuthorityError`] for a host that is no name.
    pub fn issue(
        &self,
        name: &str,
        hosts: &[String],
        purpose: Use,
        days: u32,
    ) -> Result<Issued, AuthorityError> {
        let key = KeyPair::generate().map_err(wrong)?;
        let mut params = CertificateParams::new(hosts.to_vec()).map_err(wrong)?;
        params.distinguished_name = called(name);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = match purpose {
            Use::Service => {
                vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth]
            }
            Use::Client => vec![ExtendedKeyUsagePurpose::ClientAuth],
        };
        params.use_authority_key_identifier_extension = true;
        counting_for(&mut params, days);
        let certificate = params.signed_by(&key, &self.0).map_err(wrong)?.pem();
        Ok(Issued { certificate, key: key.serialize_pem() })
    }

    fn params() -> Result<CertificateParams, AuthorityError> {
        let mut params = CertificateParams::new(Vec::new()).map_err(wrong)?;
        params.distinguished_name = called(AUTHORITY_NAME);
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        Ok(params)
    }
}

fn called(name: &str) -> DistinguishedName {
    let mut names = DistinguishedName::new();
    names.push(DnType::CommonName, name);
    names
}

fn counting_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now();
    params.not_before = (now - CLOCKS_DIFFER).into();
    params.not_after = (now + DAY * days).into();
}

fn wrong(error: rcgen::Error) -> AuthorityError {
    AuthorityError(error.to_string())
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authority(..)")
    }
}

impl fmt::Debug for Issued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Issued").field("certificate", &self.certificate).finish_non_exhaustive()
    }
}
