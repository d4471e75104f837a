//! Repairing tickets when the model moves on: u' = u + (W' - W) r + (b' - b), exactly, without a
//! ciphertext of r.

mod decision;
mod difference;
mod fetch;

use std::sync::Arc;

use rand::CryptoRng;
use sphinx_linalg::SLOTS;

pub use decision::Unrepairable;
pub(crate) use difference::{Difference, TicketWords};

use crate::error::ClientError;
use crate::recognition::model::IntegerModel;
use crate::recognition::offload::offload;
use crate::recognition::{Recogniser, Ticket, TicketBook};

/// How tickets of a version come to the recogniser's; `None` if they are of that version already.
type Way = Option<Result<Difference, Unrepairable>>;

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Repair {
    /// Tickets that were of the recogniser's version already.
    pub unchanged: usize,
    /// Tickets that were brought to it.
    pub repaired: usize,
    /// Tickets that are gone, by version.
    pub given_up: Vec<GivenUp>,
}

/// Tickets of one version that could not be repaired, or are cheaper to prepare anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The version they were prepared for.
    pub version: u64,
    /// Their number.
    pub tickets: usize,
    /// Why.
    pub cause: Unrepairable,
}

impl Repair {
    /// Number of tickets that are gone.
    pub fn lost(&self) -> usize {
        self.given_up.iter().map(|given_up| given_up.tickets).sum()
    }
}

impl Recogniser {
    /// Brings all tickets of a book to this recogniser's version, whatever earlier or later version
    /// they are of. Those that cannot be, or that are cheaper to prepare anew, are given up.
    ///
    /// Per version one `SyncTickets`, then one plaintext product over r of the tickets on all
    /// cores: for `sphinx-mnist` about 10 µs per ticket, depending on how many weights differ, and
    /// 10 to 40 kB in all.
    ///
    /// # Errors
    /// What the connection says. The book is unchanged then.
    pub async fn repair(&self, book: &mut TicketBook) -> Result<Repair, ClientError> {
        let mut differences = Vec::new();
        for (old, tickets) in by_version(book) {
            let difference = if old.version == self.model.version && old.same_model(&self.model) {
                None
            } else {
                Some(self.difference(&old, tickets).await?)
            };
            differences.push((old, difference));
        }
        if differences.iter().all(|(_, difference)| difference.is_none()) {
            return Ok(Repair { unchanged: book.len(), ..Repair::default() });
        }
        let (recogniser, tickets) = (self.clone(), book.take_all());
        let repair = move || recogniser.apply(tickets, &differences);
        let (repair, tickets) = offload(repair).await?;
        *book = TicketBook::new(tickets);
        Ok(repair)
    }

    /// [`Recogniser::repair`], and as many new tickets as had to be given up.
    ///
    /// # Errors
    /// As [`Recogniser::repair`] and [`Recogniser::prepare`]. Tickets that were repaired or
    /// prepared before stay in the book.
    pub async fn renew(
        &self,
        book: &mut TicketBook,
        rng: &mut impl CryptoRng,
    ) -> Result<Repair, ClientError> {
        let repair = self.repair(book).await?;
        let mut missing = repair.lost();
        while missing > 0 {
            let count = missing.min(SLOTS);
            book.append(self.prepare(count, rng).await?);
            missing -= count;
        }
        Ok(repair)
    }

    /// What brings tickets of `old` to this version, if that can be done and costs less than
    /// preparing `tickets` new ones.
    pub(crate) async fn difference(
        &self,
        old: &Arc<IntegerModel>,
        tickets: usize,
    ) -> Result<Result<Difference, Unrepairable>, ClientError> {
        if let Err(cause) = decision::check(old, &self.model, tickets) {
            return Ok(Err(cause));
        }
        match fetch::fetch(self, old).await {
            Ok(difference) => Ok(Ok(difference)),
            // One of the versions is no longer kept; or the model is gone, which preparing anew
            // will say.
            Err(error) if error.is_not_found() => Ok(Err(Unrepairable::VersionGone)),
            Err(error) => Err(error),
        }
    }

    fn apply(
        &self,
        tickets: Vec<Ticket>,
        differences: &[(Arc<IntegerModel>, Way)],
    ) -> (Repair, Vec<Ticket>) {
        let mut repair = Repair::default();
        let mut kept = Vec::with_capacity(tickets.len());
        let mut groups: Vec<Vec<Ticket>> = differences.iter().map(|_| Vec::new()).collect();
        for ticket in tickets {
            let place = differences.iter().position(|(old, _)| Arc::ptr_eq(old, &ticket.model));
            // Every model of the book is among them.
            groups[place.unwrap_or_default()].push(ticket);
        }
        for (mut tickets, (old, difference)) in groups.into_iter().zip(differences) {
            match difference {
                None => {
                    repair.unchanged += tickets.len();
                    kept.append(&mut tickets);
                }
                Some(Ok(difference)) => {
                    let words = tickets.iter_mut().map(|ticket| TicketWords {
                        seed: &ticket.seed,
                        answers: &mut ticket.answers,
                    });
                    difference.apply(words.collect());
                    let model = |ticket: &mut Ticket| ticket.model = Arc::clone(&self.model);
                    tickets.iter_mut().for_each(model);
                    repair.repaired += tickets.len();
                    kept.append(&mut tickets);
                }
                Some(Err(cause)) => {
                    let (version, tickets, cause) = (old.version, tickets.len(), *cause);
                    repair.given_up.push(GivenUp { version, tickets, cause });
                }
            }
        }
        (repair, kept)
    }
}

/// The models of a book's tickets, and how many each has.
fn by_version(book: &TicketBook) -> Vec<(Arc<IntegerModel>, usize)> {
    let mut found: Vec<(Arc<IntegerModel>, usize)> = Vec::new();
    for ticket in book.left() {
        match found.iter_mut().find(|(model, _)| Arc::ptr_eq(model, &ticket.model)) {
            Some((_, count)) => *count += 1,
            None => found.push((Arc::clone(&ticket.model), 1)),
        }
    }
    found
}
