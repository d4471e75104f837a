//! `sphinx tickets clear`.

use clap::Args;
use indicatif::DecimalBytes;
use serde::Serialize;
use sphinx_client::{ClientError, ModelId, tickets};

use crate::context::Context;
use crate::error::CliError;

/// Delete tickets, damaged ones included
#[derive(Debug, Args)]
pub struct Clear {
    /// The model; without it, tickets of all models
    model: Option<String>,
}

#[derive(Debug, Serialize)]
struct Cleared {
    blocks: usize,
    bytes: u64,
}

impl Clear {
    /// Asks no service: the model may be gone.
    pub fn run(&self, context: &Context) -> Result<(), CliError> {
        let model = self.model.as_deref().map(ModelId::parse).transpose()?;
        let mut cleared = Cleared { blocks: 0, bytes: 0 };
        for (model, key) in
            context.workspace.home().ticket_stores(context.workspace.tenant(), model.as_ref())?
        {
            let directory =
                context.workspace.home().tickets(context.workspace.tenant(), &model, &key);
            let done = tickets::clear(&directory).map_err(ClientError::from)?;
            cleared.blocks += done.blocks;
            cleared.bytes += done.bytes;
        }
        context.output.result(&cleared, || {
            let Cleared { blocks, bytes } = cleared;
            format!("{blocks} blocks of tickets deleted ({})", DecimalBytes(bytes))
        })
    }
}
