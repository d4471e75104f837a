//! What a client command works with.

use sphinx_client::{Endpoints, KeyId, SphinxClient, TenantId};

use crate::config::Config;
use crate::error::CliError;
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::output::Output;

pub struct Session {
    pub client: SphinxClient,
    pub tenant: TenantId,
    pub home: Home,
    pub output: Output,
    pub interrupt: Interrupt,
}

impl Session {
    pub fn open(config: &Config, output: Output, interrupt: Interrupt) -> Result<Self, CliError> {
        let endpoints: Endpoints = config.endpoints()?;
        let client = SphinxClient::new(&endpoints)?;
        let home = Home::new(config.home()?);
        Ok(Self { client, tenant: endpoints.tenant, home, output, interrupt })
    }

    /// The key asked for, or the only one there is.
    pub fn choose_key(&self, id: Option<&str>) -> Result<KeyId, CliError> {
        if let Some(id) = id {
            return Ok(KeyId::parse(id)?);
        }
        let mut ids = self.home.key_ids()?;
        match ids.len() {
            0 => Err(CliError::NoKey),
            1 => Ok(ids.remove(0)),
            _ => Err(CliError::WhichKey { ids: ids.iter().map(KeyId::to_string).collect() }),
        }
    }
}
