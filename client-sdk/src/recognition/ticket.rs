//! Tickets: what makes one query private, and exact, and is used up by it.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::error::RecognitionError;
use crate::recognition::masks::TicketSeed;
use crate::recognition::model::IntegerModel;

/// Masks for one image, and the server's answers to them. Can be neither copied nor used twice;
/// wiped on drop.
pub struct Ticket {
    pub(crate) model: Arc<IntegerModel>,
    /// What the masks r are expanded from.
    pub(crate) seed: TicketSeed,
    /// u = W r + b of every stage, of which the low `ticket_bits` are known.
    pub(crate) answers: Vec<Zeroizing<Vec<u32>>>,
}

/// Tickets that have been prepared and not yet been used, in memory.
#[derive(Default)]
pub struct TicketBook {
    /// A used ticket leaves its place empty.
    tickets: Vec<Option<Ticket>>,
    /// No ticket below is left.
    next: usize,
    left: usize,
}

impl Ticket {
    /// The model version that the ticket is for.
    pub fn version(&self) -> u64 {
        self.model.version
    }
}

impl TicketBook {
    pub(crate) fn new(tickets: Vec<Ticket>) -> Self {
        let left = tickets.len();
        Self { tickets: tickets.into_iter().map(Some).collect(), next: 0, left }
    }

    /// Tickets left; none once the service answered for one of them wrongly.
    pub fn len(&self) -> usize {
        if self.is_rejected() { 0 } else { self.left }
    }

    /// Whether no ticket is left.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Takes the next ticket.
    ///
    /// # Errors
    /// [`RecognitionError::TicketsExhausted`] when none is left.
    pub fn take(&mut self) -> Result<Ticket, RecognitionError> {
        self.drop_rejected();
        while let Some(place) = self.tickets.get_mut(self.next) {
            self.next += 1;
            if let Some(ticket) = place.take() {
                self.left -= 1;
                return Ok(ticket);
            }
        }
        Err(RecognitionError::TicketsExhausted { needed: 1, left: 0 })
    }

    /// Takes the next `count` tickets, or none.
    ///
    /// # Errors
    /// [`RecognitionError::TicketsExhausted`] when fewer are left.
    pub fn take_many(&mut self, count: usize) -> Result<Vec<Ticket>, RecognitionError> {
        self.drop_rejected();
        if count > self.left {
            return Err(RecognitionError::TicketsExhausted { needed: count, left: self.left });
        }
        (0..count).map(|_| self.take()).collect()
    }

    /// Takes the ticket at a place, counted from 0 in the order of preparation.
    ///
    /// # Errors
    /// [`RecognitionError::TicketUsed`] when it was taken before, [`RecognitionError::NoTicket`]
    /// beyond the end.
    pub fn take_at(&mut self, index: usize) -> Result<Ticket, RecognitionError> {
        self.drop_rejected();
        let count = self.tickets.len();
        let place = self.tickets.get_mut(index);
        let place = place.ok_or(RecognitionError::NoTicket { index, count })?;
        let ticket = place.take().ok_or(RecognitionError::TicketUsed { index })?;
        self.left -= 1;
        Ok(ticket)
    }

    /// The tickets that are left, in order; none remain here.
    pub(crate) fn take_all(&mut self) -> Vec<Ticket> {
        self.drop_rejected();
        std::mem::take(self).tickets.into_iter().flatten().collect()
    }

    /// The tickets that are left, in order.
    pub(crate) fn left(&self) -> impl Iterator<Item = &Ticket> {
        self.tickets.iter().flatten()
    }

    /// All tickets that are left.
    pub(crate) fn into_tickets(self) -> Vec<Ticket> {
        self.tickets.into_iter().flatten().collect()
    }

    fn is_rejected(&self) -> bool {
        self.left().next().is_some_and(|ticket| ticket.model.guard.is_rejected())
    }

    /// Tickets whose answers may be as wrong as the one that was found out.
    fn drop_rejected(&mut self) {
        if self.is_rejected() {
            self.tickets.clear();
            (self.next, self.left) = (0, 0);
        }
    }

    /// Adds the tickets of another book behind these.
    pub fn append(&mut self, mut other: Self) {
        self.left += other.left;
        self.tickets.append(&mut other.tickets);
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let model = format_args!("{}", self.model.model_id);
        let mut ticket = f.debug_struct("Ticket");
        ticket.field("model", &model).field("version", &self.version()).finish_non_exhaustive()
    }
}

impl fmt::Debug for TicketBook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TicketBook").field("left", &self.left).finish_non_exhaustive()
    }
}
