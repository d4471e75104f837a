//! `sphinx tickets`: what recognition has in store.

mod clear;
mod prepare;
mod status;

use std::sync::Arc;

use clap::Subcommand;
use rand::CryptoRng;
use sphinx_client::recognition::Recogniser;
use sphinx_client::tickets::TicketStore;
use sphinx_client::{KeyId, ModelId};

use crate::error::CliError;
use crate::session::Session;

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
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        match self {
            Self::Status(status) => status.run(session).await,
            Self::Prepare(prepare) => prepare.run(session).await,
            Self::Clear(clear) => clear.run(session),
        }
    }
}

/// The newest version of a model, and the store of its tickets.
pub async fn open(
    session: &Session,
    model_id: &ModelId,
    key_id: &KeyId,
    rng: &mut impl CryptoRng,
) -> Result<(Recogniser, Arc<TicketStore>), CliError> {
    let key = Arc::new(session.home.key(key_id)?);
    let recogniser = Recogniser::new(&session.client, model_id, key, key_id).await?;
    let directory = session.home.tickets(&session.tenant, model_id, key_id);
    let store = recogniser.ticket_store(&directory, &session.tenant, rng)?;
    Ok((recogniser, Arc::new(store)))
}
