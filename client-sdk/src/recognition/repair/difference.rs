//! W' - W and b' - b, and their product with tickets.

use std::fmt;

use rayon::prelude::*;
use sphinx_linalg::{LANES, Lanes, SparseMap};
use zeroize::{Zeroize, Zeroizing};

use crate::recognition::masks::{TicketSeed, expand};

/// Scalars that are brought from ticket after ticket to side by side at once: a cache line of each
/// ticket.
const LINE: usize = 16;

/// What brings tickets of one version to another.
pub(crate) struct Difference {
    pub(super) stages: Vec<StageDifference>,
}

pub(super) struct StageDifference {
    pub map: SparseMap,
    /// b' - b of every output row at the scales of the sums, modulo 2^32.
    pub added: Zeroizing<Vec<u32>>,
    /// Bits of r.
    pub ticket_bits: u32,
}

/// The secret words of a ticket.
pub(crate) struct TicketWords<'a> {
    pub(crate) seed: &'a TicketSeed,
    pub(crate) answers: &'a mut [Zeroizing<Vec<u32>>],
}

impl Difference {
    /// u' = u + (W' - W) r + (b' - b) modulo 2^32, for all tickets on all cores.
    pub(crate) fn apply(&self, mut tickets: Vec<TicketWords<'_>>) {
        let room = || (Masks::default(), Zeroizing::new(Vec::new()));
        tickets.par_chunks_mut(LANES).for_each_init(room, |(masks, sums), tickets| {
            for (index, stage) in self.stages.iter().enumerate() {
                if stage.is_nothing() {
                    continue;
                }
                let inputs = masks.expand(tickets, index, stage);
                let mut outputs: Vec<&mut [u32]> = Vec::with_capacity(tickets.len());
                for ticket in tickets.iter_mut() {
                    outputs.extend(ticket.answers.get_mut(index).map(|u| u.as_mut_slice()));
                }
                stage.map.add_products(&stage.added, inputs, &mut outputs, sums);
            }
        });
    }
}

impl StageDifference {
    fn is_nothing(&self) -> bool {
        self.map.multiply_adds() == 0 && self.added.iter().all(|&word| word == 0)
    }
}

/// r of some tickets, side by side. Wiped on drop.
#[derive(Default)]
struct Masks {
    words: Zeroizing<Vec<u32>>,
    lanes: Vec<Lanes>,
}

impl Masks {
    fn expand(
        &mut self,
        tickets: &[TicketWords<'_>],
        index: usize,
        stage: &StageDifference,
    ) -> &[Lanes] {
        let inputs = stage.map.inputs();
        self.words.resize(tickets.len() * inputs, 0);
        self.lanes.resize(inputs, [0; LANES]);
        let words = self.words[..tickets.len() * inputs].chunks_exact_mut(inputs);
        for (words, ticket) in words.zip(tickets) {
            expand(ticket.seed, index, stage.ticket_bits, words);
        }
        for (line, lanes) in self.lanes[..inputs].chunks_mut(LINE).enumerate() {
            let words = self.words.chunks_exact(inputs).take(tickets.len()).enumerate();
            for (lane, words) in words {
                let words = &words[line * LINE..];
                match (<&mut [Lanes; LINE]>::try_from(&mut *lanes), words.first_chunk::<LINE>()) {
                    // A known length has no loop.
                    (Ok(lanes), Some(words)) => {
                        lanes.iter_mut().zip(words).for_each(|(lanes, &word)| lanes[lane] = word);
                    }
                    _ => lanes.iter_mut().zip(words).for_each(|(lanes, &word)| lanes[lane] = word),
                }
            }
        }
        &self.lanes[..inputs]
    }
}

impl Drop for Masks {
    fn drop(&mut self) {
        self.lanes.iter_mut().for_each(Zeroize::zeroize);
    }
}

impl fmt::Debug for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let multiply_adds: usize = self.stages.iter().map(|stage| stage.map.multiply_adds()).sum();
        f.debug_struct("Difference").field("multiply_adds", &multiply_adds).finish_non_exhaustive()
    }
}
