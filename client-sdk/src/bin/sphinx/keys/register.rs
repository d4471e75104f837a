//! `sphinx keys register`: hands the public part of a key to the key vault.

use clap::Args;
use serde::Serialize;

use crate::error::CliError;
use crate::output::program;
use crate::session::Session;

/// Register the public part of a key, so that the services accept it
#[derive(Debug, Args)]
pub struct Register {
    /// The key [default: the only one there is]
    id: Option<String>,
    /// A remark for the list of keys
    #[arg(long, value_name = "TEXT", default_value = "")]
    description: String,
}

#[derive(Debug, Serialize)]
struct Registered {
    key: String,
    fingerprint: String,
    already_registered: bool,
}

impl Register {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        let id = session.choose_key(self.id.as_deref())?;
        let material = session.home.material(&id)?;
        let receipt = session.client.register_material(&id, &material, &self.description).await?;
        let registered = Registered {
            key: id.to_string(),
            fingerprint: receipt.key.map(|key| key.fingerprint).unwrap_or_default(),
            already_registered: receipt.already_registered,
        };
        session.output.result(&registered, || {
            let Registered { key, fingerprint, already_registered } = &registered;
            let done = if *already_registered { "was registered before" } else { "is registered" };
            let next = format!("train with it   {} train --key {key}", program());
            format!("key {key} {done}\nfingerprint  {fingerprint}\n\n{next}")
        })
    }
}
