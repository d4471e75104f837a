//! Following a model to its next version.

use std::sync::Arc;

use crate::error::ClientError;
use crate::recognition::offload::offload;
use crate::recognition::{Recogniser, Repair};
use crate::tickets::TicketSupply;
use crate::tickets::metrics::Counters;
use crate::tickets::shared::Shared;

impl TicketSupply {
    /// Goes over to the newest version of the model, if it is not the one that tickets are handed
    /// out for. Unused tickets are repaired, or deleted where that cannot be done or costs more
    /// than preparing anew. Callers wait meanwhile. Tickets handed out before are good for as long
    /// as the service keeps their version.
    ///
    /// The supply does this by itself every [`follow`](crate::tickets::SupplyOptions::follow) and
    /// before every preparation; [`TicketSupply::infer`] and [`TicketSupply::infer_batch`] do it
    /// when the service no longer keeps the version.
    ///
    /// # Errors
    /// [`crate::RecognitionError::ModelGone`] if the model was deleted; what connection and store
    /// say. The supply then stays with the version it has.
    pub async fn refresh(&self) -> Result<Repair, ClientError> {
        self.shared.refresh().await
    }
}

impl Shared {
    pub async fn refresh(&self) -> Result<Repair, ClientError> {
        // Whoever comes second finds the work done.
        let _one = self.refreshing.lock().await;
        let from = self.state().recogniser.clone();
        let to = from.refreshed().await?;
        if to.version() == from.version() {
            return Ok(Repair::default());
        }
        let (leased, spent) = {
            let mut state = self.state();
            state.switching = true;
            (std::mem::take(&mut state.ready), std::mem::take(&mut state.spent))
        };
        // Ends the pause also when this future is dropped.
        let pause = Pause(self);
        let store = Arc::clone(&self.store);
        let released = offload(move || {
            store.spent(spent);
            store.release(leased)
        });
        released.await??;
        let repair = to.repair_stored(&self.store).await?;
        self.switched(to, &repair);
        drop(pause);
        Ok(repair)
    }

    fn switched(&self, to: Recogniser, repair: &Repair) {
        let (version, repaired, discarded) = (to.version(), repair.repaired, repair.lost());
        Counters::add(&self.counters.repaired, repaired);
        Counters::add(&self.counters.discarded, discarded);
        self.state().recogniser = to;
        let model = self.store.owner().model.as_str();
        tracing::info!(model, version, repaired, discarded, "tickets are for a newer version now");
    }
}

/// Lets callers and worker go on when the switch is over.
struct Pause<'a>(&'a Shared);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.state().switching = false;
        self.0.kick.notify_one();
        self.0.changed.notify_waiters();
    }
}
