//! Tickets carried over to another version.

use sphinx_tickets::TicketStoreError;

use crate::world::{edition, filled, open};

#[derive(Debug, PartialEq)]
enum Failure {
    Store(TicketStoreError),
    Own,
}

impl From<TicketStoreError> for Failure {
    fn from(error: TicketStoreError) -> Self {
        Self::Store(error)
    }
}

#[test]
fn unused_tickets_are_repaired_and_used_ones_stay_used() {
    let (directory, store, made) = filled(&[30, 40]);
    let used = store.take(&edition(1), 10).unwrap();
    let mut held = store.lease(&edition(1), 5).unwrap();
    let mut to = edition(2);
    // A version whose stage needs a larger modulus.
    to.stages[0].modulus_bits = 28;
    let add = |tickets: &mut [sphinx_tickets::StoredTicket]| {
        for ticket in tickets {
            ticket.answers[0].iter_mut().for_each(|word| *word += 3);
        }
        Ok::<_, Failure>(())
    };
    assert_eq!(store.repair(&edition(1), &to, add), Ok(55));
    assert_eq!(store.unused(&edition(1)), Ok(0));
    assert_eq!(store.unused(&to), Ok(55));
    // Given back too late: its block is of the past.
    let late = held.remove(0);
    let seeds: Vec<_> = held.iter().chain([&late]).map(|ticket| ticket.seed.clone()).collect();
    store.release([late]).unwrap();
    assert_eq!(store.unused(&to), Ok(55));
    drop(store);
    let store = open(directory.path());
    let taken = store.take(&to, 55).unwrap();
    let all: Vec<_> = made.iter().flatten().collect();
    for ticket in &taken {
        let made = all.iter().find(|made| made.seed == *ticket.seed).unwrap();
        let expected: Vec<u32> = made.answers[0].iter().map(|word| word + 3).collect();
        assert_eq!(*ticket.answers[0], expected);
        assert_eq!(ticket.answers[1..], made.answers[1..]);
        assert!(used.iter().all(|other| other.seed != ticket.seed));
        assert!(!seeds.contains(&ticket.seed));
    }
}

#[test]
fn rejects_repairs_that_fail_or_do_not_fit_and_keeps_the_tickets() {
    let (_directory, store, _) = filled(&[30]);
    let failed = store.repair(&edition(1), &edition(2), |_| Err(Failure::Own));
    assert_eq!(failed, Err(Failure::Own));
    let mut to = edition(2);
    to.stages[2].outputs = 9;
    let misfit = store.repair(&edition(1), &to, |_| Ok::<_, Failure>(()));
    let (got, expected) = (vec![30, 7, 10], vec![30, 7, 9]);
    let error = TicketStoreError::Shape { index: 0, got, expected };
    assert_eq!(misfit, Err(Failure::Store(error)));
    assert_eq!(store.unused(&edition(1)), Ok(30));
    assert_eq!(store.repair(&edition(7), &to, |_| Err(Failure::Own)), Ok(0));
}
