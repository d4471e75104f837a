//! The register of a service: its credentials, as a TOML file keeps them.

use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sphinx_proto::TenantId;

use crate::credential::{Credential, Digest, Kind, Scope};
use crate::error::RegisterError;
use crate::role::Role;

/// Some ten thousand credentials.
const MAX_FILE_BYTES: u64 = 4 << 20;

/// Credentials, in the order in which they were made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Register(Vec<Credential>);

/// The file.
#[derive(Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default, rename = "credential", skip_serializing_if = "Vec::is_empty")]
    credentials: Vec<Row>,
}

/// One table of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    id: String,
    sha256: String,
    kind: Kind,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    note: String,
    created_unix_seconds: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_unix_seconds: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked_unix_seconds: Option<i64>,
}

impl Register {
    /// What is in a file.
    ///
    /// # Errors
    /// [`RegisterError::File`] if it cannot be read, [`RegisterError::Damaged`] if it is not what
    /// `sphinx tokens` writes.
    pub fn load(path: &Path) -> Result<Self, RegisterError> {
        let unreadable = |error: std::io::Error| RegisterError::File {
            path: path.to_owned(),
            cause: error.to_string(),
        };
        let file = std::fs::File::open(path).map_err(unreadable)?;
        let mut text = String::new();
        file.take(MAX_FILE_BYTES).read_to_string(&mut text).map_err(unreadable)?;
        Self::parse(&text).map_err(|cause| RegisterError::Damaged { path: path.to_owned(), cause })
    }

    /// The credential of a digest. Takes the same time whether and where there is one.
    pub fn find(&self, digest: &Digest) -> Option<&Credential> {
        let mut found = None;
        for credential in &self.0 {
            if credential.digest.is(digest).into() {
                found = Some(credential);
            }
        }
        found
    }

    /// All of them, in the order in which they were made.
    pub fn credentials(&self) -> &[Credential] {
        &self.0
    }

    /// Adds a credential.
    ///
    /// # Errors
    /// [`RegisterError::Exists`] for one that is there, even if it is revoked.
    pub fn add(&mut self, credential: Credential) -> Result<(), RegisterError> {
        match self.find(&credential.digest) {
            Some(there) => Err(RegisterError::Exists { id: there.digest.id() }),
            None => {
                self.0.push(credential);
                Ok(())
            }
        }
    }

    /// Revokes the credential of an id, for good. A second time changes nothing.
    ///
    /// # Errors
    /// [`RegisterError::Unknown`].
    pub fn revoke(&mut self, id: &str, now: i64) -> Result<&Credential, RegisterError> {
        let named = self.0.iter_mut().find(|credential| credential.digest.id() == id);
        let credential = named.ok_or_else(|| RegisterError::Unknown { id: id.to_owned() })?;
        credential.revoked_unix_seconds.get_or_insert(now);
        Ok(credential)
    }

    pub(crate) fn to_text(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(&File { credentials: self.0.iter().map(Row::of).collect() })
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let file: File = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let mut register = Self::default();
        for row in file.credentials {
            let id = row.id.clone();
            let credential = row.read().map_err(|cause| format!("credential {id}: {cause}"))?;
            register.add(credential).map_err(|error| error.to_string())?;
        }
        Ok(register)
    }
}

impl Row {
    fn of(credential: &Credential) -> Self {
        Self {
            id: credential.digest.id(),
            sha256: credential.digest.to_string(),
            kind: credential.kind,
            role: credential.scope.role(),
            tenant: credential.scope.tenant().map(ToString::to_string),
            note: credential.note.clone(),
            created_unix_seconds: credential.created_unix_seconds,
            expires_unix_seconds: credential.expires_unix_seconds,
            revoked_unix_seconds: credential.revoked_unix_seconds,
        }
    }

    fn read(self) -> Result<Credential, String> {
        let digest = Digest::parse(&self.sha256).ok_or("sha256 is not 64 hexadecimal digits")?;
        if digest.id() != self.id {
            return Err(format!("the id of this sha256 is {}", digest.id()));
        }
        let tenant = self.tenant.map(TenantId::parse).transpose().map_err(|e| e.to_string())?;
        Ok(Credential {
            digest,
            kind: self.kind,
            scope: Scope::new(self.role, tenant).map_err(|error| error.to_string())?,
            note: self.note,
            created_unix_seconds: self.created_unix_seconds,
            expires_unix_seconds: self.expires_unix_seconds,
            revoked_unix_seconds: self.revoked_unix_seconds,
        })
    }
}
