//! Stored tickets when the model moves on.

use std::sync::Arc;

use sphinx_tickets::{Edition, TicketStore, TicketStoreError};

use crate::error::{ClientError, RecognitionError};
use crate::recognition::offload::offload;
use crate::recognition::repair::{Difference, TicketWords};
use crate::recognition::{GivenUp, Recogniser, Repair, Unrepairable};

impl Recogniser {
    /// Brings the unused tickets of a store from earlier versions of the model to this
    /// recogniser's. Those that cannot be repaired, that are cheaper to prepare anew, or that are
    /// of a deleted model of the same name are deleted; tickets of later versions stay, another
    /// process has gone over to them. See [`TicketStore::repair`] for what happens when the process
    /// is killed meanwhile.
    ///
    /// # Errors
    /// What connection and store say. Versions dealt with before then stay dealt with.
    pub async fn repair_stored(&self, store: &Arc<TicketStore>) -> Result<Repair, ClientError> {
        self.opener.guard.watch(store);
        let mut repair = Repair::default();
        let own = self.edition();
        for (edition, tickets) in unused(store).await? {
            if edition == own {
                repair.unchanged += tickets;
                continue;
            }
            if edition.incarnation == own.incarnation && edition.version > own.version {
                continue;
            }
            let version = edition.version;
            let (store, to) = (Arc::clone(store), own.clone());
            match self.difference_from(&edition, tickets).await? {
                Ok(difference) => {
                    repair.repaired += offload(move || {
                        store.repair(&edition, &to, |tickets| {
                            let words = tickets.iter_mut().map(|ticket| TicketWords {
                                seed: &ticket.seed,
                                answers: &mut ticket.answers,
                            });
                            difference.apply(words.collect());
                            Ok::<_, TicketStoreError>(())
                        })
                    })
                    .await??;
                }
                Err(cause) => {
                    let discarded = offload(move || store.discard(|other| *other == edition));
                    let tickets = discarded.await??;
                    repair.given_up.push(GivenUp { version, tickets, cause });
                }
            }
        }
        Ok(repair)
    }

    /// As [`Recogniser::difference`], from a version of which only stored tickets are known.
    async fn difference_from(
        &self,
        edition: &Edition,
        tickets: usize,
    ) -> Result<Result<Difference, Unrepairable>, ClientError> {
        if edition.incarnation != self.model.incarnation {
            return Ok(Err(Unrepairable::OtherModel));
        }
        let old = match self.opener.open(Some(edition.version), Some(&self.model)).await {
            Ok(old) => old,
            Err(error) if error.is_not_found() => return Ok(Err(Unrepairable::VersionGone)),
            // No ticket of it would be exact.
            Err(ClientError::Recognition(RecognitionError::Precision { .. })) => {
                return Ok(Err(Unrepairable::VersionGone));
            }
            Err(error) => return Err(error),
        };
        // The model was made again meanwhile, or another release of this program chose other
        // shapes.
        if old.edition() != *edition {
            return Ok(Err(Unrepairable::OtherModel));
        }
        self.difference(&old, tickets).await
    }
}

/// The versions of a store's tickets, and how many unused ones each has.
async fn unused(store: &Arc<TicketStore>) -> Result<Vec<(Edition, usize)>, ClientError> {
    let store = Arc::clone(store);
    let status = offload(move || store.status()).await??;
    let mut versions: Vec<(Edition, usize)> = Vec::new();
    for block in status.blocks {
        match versions.iter_mut().find(|(edition, _)| *edition == block.edition) {
            Some((_, tickets)) => *tickets += block.unused,
            None => versions.push((block.edition, block.unused)),
        }
    }
    versions.sort_by_key(|(edition, _)| edition.version);
    Ok(versions)
}
