//! `sphinx tokens new`: a token, shown once.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use sphinx_access::{Credential, Digest, Kind, Role, Scope, edit};
use sphinx_client::workspace::write_new;
use sphinx_client::{TenantId, Token, secure_rng};
use sphinx_runtime::unix_seconds;

use super::{Place, Shown};
use crate::error::CliError;
use crate::output::Output;

/// Longer than any of it will be used.
const MOST: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);

/// Make a token, and enter it as a credential. --tenant says whose keys and models it reaches;
/// operators and services belong to no tenant
#[derive(Debug, Args)]
pub struct New {
    #[command(flatten)]
    place: Place,
    /// What its holder may do
    #[arg(long, value_enum)]
    role: RoleName,
    /// How long it counts, for example 30d or 12h [default: until it is revoked]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    expires: Option<Duration>,
    /// A remark for the list
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    /// Enter the certificate of a PEM file instead of making a token
    #[arg(long = "of-certificate", value_name = "FILE", conflicts_with = "output")]
    pem: Option<PathBuf>,
    /// Write the token to a new file, readable by its owner only, instead of showing it
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum RoleName {
    /// All of the tenant
    Owner,
    /// Trains models that exist, and predicts
    Contributor,
    /// Predicts
    Predictor,
    /// Runs the services, no tenant's objects
    Operator,
    /// A trainer or an inference service, at the key vault
    Service,
}

#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    shown: Shown,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
    file: PathBuf,
}

impl New {
    /// `tenant` is the one that was named by hand: that of a configuration may be somebody else's.
    pub fn run(&self, tenant: Option<&str>, output: Output) -> Result<(), CliError> {
        let tenant = tenant.map(TenantId::parse).transpose()?;
        let scope = Scope::new(self.role.role(), tenant)?;
        let now = unix_seconds();
        let expires = match self.expires {
            Some(time) if time > MOST => {
                return Err(CliError::Usage("--expires: at most 100 years".to_owned()));
            }
            Some(time) => Some(now.saturating_add_unsigned(time.as_secs())),
            None => None,
        };
        let (token, digest, kind) = match &self.pem {
            None => {
                let token = Token::generate(&mut secure_rng());
                let digest = token.digest();
                (Some(token), digest, Kind::Token)
            }
            Some(path) => {
                let chain = sphinx_tls::certificates(path)?;
                let digest = chain.first().map(|certificate| Digest::of(certificate));
                let digest = digest.ok_or_else(|| CliError::Usage("no certificate".to_owned()))?;
                (None, digest, Kind::Certificate)
            }
        };
        let credential = Credential {
            digest,
            kind,
            scope,
            note: self.note.clone(),
            created_unix_seconds: now,
            expires_unix_seconds: expires,
            revoked_unix_seconds: None,
        };
        // Before it counts: a token that counts for nothing is better than one that is nowhere.
        if let (Some(path), Some(token)) = (&self.output, &token) {
            write_new(path, token.expose().as_bytes())
                .map_err(|source| CliError::File { path: path.clone(), source })?;
        }
        let entered = credential.clone();
        edit(&self.place.file, |register| register.add(entered))?;
        let token = token.filter(|_| self.output.is_none());
        let made = Made {
            shown: Shown::of(&credential),
            token: token.map(|token| token.expose().to_owned()),
            file: self.place.file.clone(),
        };
        output.result(&made, || made.text())
    }
}

impl Made {
    fn text(&self) -> String {
        let Shown { credential, role, tenant, expires, .. } = &self.shown;
        let tenant = tenant.as_ref().map_or_else(String::new, |name| format!(" of tenant {name}"));
        let until = expires.as_ref().map_or_else(String::new, |date| format!(" until {date}"));
        let file = self.file.display();
        let told = format!("credential   {credential}: {role}{tenant}{until}, in {file}");
        match &self.token {
            None => told,
            Some(token) => format!(
                "token        {token}\n{told}\n\nIt is shown this once. Clients give it by SPHINX_TOKEN or --token-file."
            ),
        }
    }
}

impl RoleName {
    fn role(self) -> Role {
        match self {
            Self::Owner => Role::Owner,
            Self::Contributor => Role::Contributor,
            Self::Predictor => Role::Predictor,
            Self::Operator => Role::Operator,
            Self::Service => Role::Service,
        }
    }
}
