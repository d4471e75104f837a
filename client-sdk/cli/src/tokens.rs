//! `sphinx tokens`: credentials of a service, in the file that its configuration names.

mod list;
mod new;
mod revoke;

use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde::Serialize;
use sphinx_access::{Credential, Kind, Role};

use crate::error::CliError;
use crate::output::Output;

#[derive(Debug, Subcommand)]
pub enum Tokens {
    /// Make a token, and enter it as a credential
    New(new::New),
    /// List the credentials of a file
    List(list::List),
    /// Revoke a credential, for good; services notice within seconds
    Revoke(revoke::Revoke),
}

/// Where credentials are.
#[derive(Debug, Args)]
struct Place {
    /// File of credentials, which services name as access.credentials
    #[arg(long, value_name = "FILE", default_value = "credentials.toml")]
    file: PathBuf,
}

/// A credential as it is shown.
#[derive(Debug, Serialize)]
struct Shown {
    credential: String,
    kind: Kind,
    role: Role,
    #[serde(skip_serializing_if = "Option::is_none")]
    tenant: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    note: String,
    created: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

impl Tokens {
    /// `tenant` is what `--tenant` says.
    pub fn run(&self, tenant: Option<&str>, output: Output) -> Result<(), CliError> {
        match self {
            Self::New(new) => new.run(tenant, output),
            Self::List(list) => list.run(output),
            Self::Revoke(revoke) => revoke.run(output),
        }
    }
}

impl Shown {
    fn of(credential: &Credential) -> Self {
        Self {
            credential: credential.digest.id(),
            kind: credential.kind,
            role: credential.scope.role(),
            tenant: credential.scope.tenant().map(ToString::to_string),
            note: credential.note.clone(),
            created: date(credential.created_unix_seconds),
            expires: credential.expires_unix_seconds.map(date),
            revoked: credential.revoked_unix_seconds.map(date),
        }
    }
}

/// A time of a credential, as people read it.
fn date(unix_seconds: i64) -> String {
    let since = Duration::from_secs(u64::try_from(unix_seconds).unwrap_or(0));
    let time = UNIX_EPOCH.checked_add(since).unwrap_or(UNIX_EPOCH);
    humantime::format_rfc3339_seconds(time).to_string()
}
