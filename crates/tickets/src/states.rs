//! What became of the tickets of a block.

use crate::holder::HolderId;

const UNUSED: u8 = 0;
const USED: u8 = 1;
const LOST: u8 = 2;
/// This and above: taken by the holder at that place of the list.
const FIRST_HOLDER: u8 = 3;
const MAX_HOLDERS: usize = (u8::MAX - FIRST_HOLDER) as usize;
const HOLDER_BYTES: usize = size_of::<HolderId>();

/// One byte per ticket, and who holds those that were taken and not reported as used or lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct States {
    tickets: Vec<u8>,
    holders: Vec<HolderId>,
}

/// Tickets of a block by what became of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally {
    pub unused: usize,
    pub used: usize,
    pub lost: usize,
    pub held: usize,
}

impl States {
    pub fn new(count: usize) -> Self {
        Self { tickets: vec![UNUSED; count], holders: Vec::new() }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        self.tickets.iter().chain(self.holders.iter().flatten()).copied().collect()
    }

    /// `None` if the bytes are no states of `count` tickets.
    pub fn from_bytes(bytes: &[u8], count: usize) -> Option<Self> {
        let (tickets, holders) = bytes.split_at_checked(count)?;
        let (holders, rest) = holders.as_chunks::<HOLDER_BYTES>();
        let known = usize::from(FIRST_HOLDER) + holders.len();
        let sound = rest.is_empty() && tickets.iter().all(|&state| usize::from(state) < known);
        sound.then(|| Self { tickets: tickets.to_vec(), holders: holders.to_vec() })
    }

    pub fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for &state in &self.tickets {
            match state {
                UNUSED => tally.unused += 1,
                USED => tally.used += 1,
                LOST => tally.lost += 1,
                _ => tally.held += 1,
            }
        }
        tally
    }

    /// Whether no ticket can be handed out or given back any more.
    pub fn is_used_up(&self) -> bool {
        self.tickets.iter().all(|state| [USED, LOST].contains(state))
    }

    /// The unused tickets.
    pub fn unused(&self) -> Vec<u32> {
        (0u32..).zip(&self.tickets).filter(|(_, state)| **state == UNUSED).map(|(n, _)| n).collect()
    }

    /// Gives the first `want` unused tickets to a holder.
    pub fn take(&mut self, want: usize, holder: HolderId) -> Vec<u32> {
        let mut numbers = self.unused();
        numbers.truncate(want);
        if numbers.is_empty() {
            return numbers;
        }
        if self.holders.len() == MAX_HOLDERS && !self.holders.contains(&holder) {
            // Far more processes than ever share a block: what the oldest holds is not known any
            // more.
            let oldest = self.holders[0];
            self.forget(|id| *id == oldest);
        }
        let known = self.holders.iter().position(|id| *id == holder);
        let place = known.unwrap_or_else(|| {
            self.holders.push(holder);
            self.holders.len() - 1
        });
        for &number in &numbers {
            self.tickets[number as usize] = FIRST_HOLDER + place as u8;
        }
        numbers
    }

    /// Tickets that the holder has used. Others than its own stay as they are.
    pub fn used(&mut self, numbers: &[u32], holder: HolderId) {
        self.settle(numbers, holder, USED);
    }

    /// Tickets that the holder has and will never use.
    pub fn give_back(&mut self, numbers: &[u32], holder: HolderId) {
        self.settle(numbers, holder, UNUSED);
    }

    /// Tickets that the holder found damaged.
    pub fn lost(&mut self, numbers: &[u32], holder: HolderId) {
        self.settle(numbers, holder, LOST);
    }

    /// No ticket of the block is to be handed out any more.
    pub fn lose_unused(&mut self) {
        self.tickets.iter_mut().filter(|state| **state == UNUSED).for_each(|state| *state = LOST);
    }

    /// What holders have that are gone is lost.
    pub fn forget(&mut self, gone: impl Fn(&HolderId) -> bool) {
        let old = std::mem::take(&mut self.holders);
        // Where every place of the list goes.
        let places: Vec<u8> = old
            .iter()
            .map(|id| {
                if gone(id) {
                    return LOST;
                }
                self.holders.push(*id);
                FIRST_HOLDER + (self.holders.len() - 1) as u8
            })
            .collect();
        for state in self.tickets.iter_mut().filter(|state| **state >= FIRST_HOLDER) {
            *state = places[usize::from(*state - FIRST_HOLDER)];
        }
    }

    fn settle(&mut self, numbers: &[u32], holder: HolderId, outcome: u8) {
        let Some(place) = self.holders.iter().position(|id| *id == holder) else { return };
        let held = FIRST_HOLDER + place as u8;
        for &number in numbers {
            if let Some(state) = self.tickets.get_mut(number as usize).filter(|s| **s == held) {
                *state = outcome;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: HolderId = [1; 16];
    const B: HolderId = [2; 16];

    fn tally(states: &States) -> [usize; 4] {
        let Tally { unused, used, lost, held } = states.tally();
        [unused, used, lost, held]
    }

    #[test]
    fn tickets_go_to_one_holder_and_only_it_can_settle_them() {
        let mut states = States::new(10);
        assert_eq!(states.take(3, A), [0, 1, 2]);
        assert_eq!(states.take(4, B), [3, 4, 5, 6]);
        states.give_back(&[3, 4], A);
        states.used(&[9, 77], A);
        assert_eq!(tally(&states), [3, 0, 0, 7]);
        states.used(&[0, 1], A);
        states.give_back(&[0, 2], A);
        states.lost(&[3], B);
        // 2 was given back; 0 was used, which is final.
        assert_eq!(states.unused(), [2, 7, 8, 9]);
        assert_eq!(tally(&states), [4, 2, 1, 3]);
        assert_eq!(States::from_bytes(&states.to_bytes(), 10), Some(states.clone()));
        states.forget(|id| *id == A);
        assert_eq!(tally(&states), [4, 2, 1, 3]);
        states.used(&[4], B);
        states.forget(|_| true);
        assert_eq!(tally(&states), [4, 3, 3, 0]);
        states.lose_unused();
        assert_eq!((tally(&states), states.take(1, A)), ([0, 3, 7, 0], vec![]));
    }

    #[test]
    fn more_holders_than_fit_push_the_oldest_out() {
        let mut states = States::new(300);
        for index in 0..300u32 {
            let mut id = [0; 16];
            id[..4].copy_from_slice(&index.to_le_bytes());
            assert_eq!(states.take(1, id), [index]);
        }
        assert_eq!(tally(&states), [0, 0, 48, 252]);
        assert_eq!(States::from_bytes(&states.to_bytes(), 300), Some(states));
    }

    #[test]
    fn rejects_bytes_that_are_no_states() {
        assert_eq!(States::from_bytes(&[0; 4], 5), None);
        assert_eq!(States::from_bytes(&[0; 6], 5), None);
        assert_eq!(States::from_bytes(&[0, 0, 0, 0, 3], 5), None);
    }
}
