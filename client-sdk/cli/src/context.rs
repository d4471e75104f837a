//! What a client command works with.

use sphinx_client::workspace::Workspace;
use sphinx_client::{Endpoints, KeyId};

use crate::config::Config;
use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::output::Output;
use crate::passphrase::PassphraseSource;

pub struct Context {
    pub workspace: Workspace,
    /// Where the workspace's client goes.
    pub endpoints: Endpoints,
    pub passphrases: PassphraseSource,
    pub output: Output,
    pub interrupt: Interrupt,
}

impl Context {
    pub fn open(config: &Config, output: Output, interrupt: Interrupt) -> Result<Self, CliError> {
        let endpoints: Endpoints = config.endpoints()?;
        let passphrases = config.passphrases();
        let workspace = Workspace::open(&endpoints, config.home()?)?;
        let workspace = workspace.with_passphrases(passphrases.clone().for_keys());
        Ok(Self { workspace, endpoints, passphrases, output, interrupt })
    }

    /// The key asked for, or the only one there is.
    pub fn choose_key(&self, id: Option<&str>) -> Result<KeyId, CliError> {
        let asked = id.map(KeyId::parse).transpose()?;
        Ok(self.workspace.choose_key(asked.as_ref())?)
    }
}
