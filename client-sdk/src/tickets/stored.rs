//! Between the store and the recogniser.

use std::path::Path;
use std::sync::Arc;

use sphinx_tickets::{
    Edition, Owner, StageShape, StoreKey, StoredTicket, TicketParts, TicketStore,
};

use crate::TenantId;
use crate::error::ClientError;
use crate::recognition::model::IntegerModel;
use crate::recognition::offload::offload;
use crate::recognition::{Recogniser, Ticket, TicketBook};

/// What the key of a ticket store is derived for ([`sphinx_secret::RootKey::derive`]).
pub const STORE_PURPOSE: &str = "sphinx ticket store 1";

impl Recogniser {
    /// Opens the store of this model's tickets, which are sealed under `key`: the device's own, or
    /// derived from a root ([`STORE_PURPOSE`]). See [`TicketStore::open`].
    ///
    /// # Errors
    /// [`crate::tickets::TicketStoreError::Storage`].
    pub fn ticket_store(
        &self,
        directory: &Path,
        tenant: &TenantId,
        key: &StoreKey,
    ) -> Result<TicketStore, ClientError> {
        let owner = Owner {
            tenant: tenant.to_string(),
            model: self.model.model_id.to_string(),
            key_id: self.model.key_id.to_string(),
        };
        Ok(TicketStore::open(directory, owner, key)?)
    }

    /// What tells tickets of this model version from others.
    pub fn edition(&self) -> Edition {
        self.model.edition()
    }

    /// Puts prepared tickets into a store, durably: 1 to 2048 of this recogniser's version.
    ///
    /// # Errors
    /// [`crate::RecognitionError::ForeignTicket`] for tickets of another model or version; what the
    /// store says.
    pub async fn keep(
        &self,
        store: &Arc<TicketStore>,
        tickets: TicketBook,
    ) -> Result<usize, ClientError> {
        self.opener.guard.admit()?;
        self.opener.guard.watch(store);
        let (store, model) = (Arc::clone(store), Arc::clone(&self.model));
        offload(move || {
            let tickets = tickets.into_tickets();
            let foreign = |ticket: &&Ticket| {
                !ticket.model.same_model(&model) || ticket.model.version != model.version
            };
            if let Some(ticket) = tickets.iter().find(foreign) {
                return Err(ticket.model.foreign_to(&model).into());
            }
            let parts: Vec<TicketParts<'_>> = tickets
                .iter()
                .map(|ticket| TicketParts { seed: &ticket.seed, answers: &ticket.answers })
                .collect();
            store.add(&model.edition(), &parts)?;
            if let Err(error) = model.guard.admit() {
                // Found out meanwhile.
                store.discard(|_| true)?;
                return Err(error);
            }
            Ok(parts.len())
        })
        .await?
    }

    /// Takes `count` tickets of this recogniser's version, or none: they are durably marked as
    /// taken, in one commit.
    ///
    /// # Errors
    /// [`crate::tickets::TicketStoreError::Exhausted`] if there are fewer; what the store says.
    pub async fn take_stored(
        &self,
        store: &Arc<TicketStore>,
        count: usize,
    ) -> Result<Vec<Ticket>, ClientError> {
        self.opener.guard.admit()?;
        self.opener.guard.watch(store);
        let (store, edition) = (Arc::clone(store), self.edition());
        let stored = offload(move || store.take(&edition, count)).await??;
        Ok(stored.into_iter().map(|ticket| self.redeem(ticket)).collect())
    }

    /// A ticket taken as one of this version.
    pub(crate) fn redeem(&self, ticket: StoredTicket) -> Ticket {
        let StoredTicket { seed, answers, .. } = ticket;
        Ticket { model: Arc::clone(&self.model), seed, answers }
    }
}

impl IntegerModel {
    pub(crate) fn edition(&self) -> Edition {
        let stages = self.stages.iter().map(|layer| StageShape {
            inputs: layer.inputs as u32,
            outputs: layer.outputs as u32,
            modulus_bits: layer.ticket_bits,
        });
        Edition {
            incarnation: self.incarnation.to_vec(),
            version: self.version,
            stages: stages.collect(),
        }
    }
}
