//! `sphinx tickets`: what recognition has in store.

mod clear;
mod prepare;
mod status;

use std::sync::Arc;

use clap::Subcommand;
use sphinx_client::ModelId;
use sphinx_client::recognition::Recogniser;
use sphinx_client::tickets::TicketStore;

use crate::context::Context;
use crate::error::CliError;

#[derive(Debug, Subcommand)]
pub enum Tickets {
    /// Show how many tickets there are
    Status(status::Status),
    /// Prepare tickets in advance, so that `sphinx infer` need not
    Prepare(prepare::Prepare),
    /// Delete tickets, damaged ones included
    Clear(clear::Clear),
}

impl Tickets {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        match self {
            Self::Status(status) => status.run(context).await,
            Self::Prepare(prepare) => prepare.run(context).await,
            Self::Clear(clear) => clear.run(context),
        }
    }
}

/// The newest version of a model, and the store of its tickets.
pub async fn open(
    context: &Context,
    model_id: &ModelId,
) -> Result<(Recogniser, Arc<TicketStore>), CliError> {
    let recogniser = context.workspace.recogniser(model_id).await?;
    let store = Arc::new(context.workspace.ticket_store(&recogniser)?);
    Ok((recogniser, store))
}
