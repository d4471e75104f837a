//! What the units of a data set have spent: the most of any of them.

use std::collections::BTreeSet;

use super::record::{Training, compose, scaled};
use super::store::Contents;
use super::units::{UnitDigest, Units, occurrences};
use crate::accountant::{Accountant, AccountingError};
use crate::epsilon::Epsilon;
use crate::ledger::Run;
use crate::quantity::{Delta, Target};

/// Some units, by the trainings that they were in.
pub(super) struct Spending<'a> {
    contents: &'a Contents,
    /// Units that were not declared public.
    pub private: Vec<UnitDigest>,
    /// For every way in which such units took part: how often they are in each list, by the lists'
    /// numbers in order.
    histories: BTreeSet<Vec<u32>>,
}

/// The most that any unit has spent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Worst {
    pub epsilon: Epsilon,
    /// Steps of the further run that a target allows, if one was asked for.
    pub allowed: u64,
}

impl<'a> Spending<'a> {
    /// Of the units of `among` that are also in `within`.
    pub fn new(contents: &'a Contents, among: &Units, within: &Units) -> Self {
        let lists: Vec<&Units> = contents.lists.values().collect();
        let public = contents.sets.values().filter_map(|set| set.public);
        let public: Vec<&Units> = public.filter_map(|list| contents.lists.get(&list)).collect();
        let mut units = among.protected().to_vec();
        units.dedup();
        let inside = occurrences(&units, within.protected());
        let mut inside = inside.into_iter();
        units.retain(|_| inside.next().is_some_and(|times| times > 0));
        for public in public.iter().filter(|public| public.unit == among.unit) {
            let mut public = occurrences(&units, public.protected()).into_iter();
            units.retain(|_| public.next() == Some(0));
        }
        let columns = lists.iter().map(|list| {
            if list.unit == among.unit {
                occurrences(&units, list.protected())
            } else {
                vec![0; units.len()]
            }
        });
        let columns: Vec<Vec<u32>> = columns.collect();
        let history = |unit: usize| columns.iter().map(|column| column[unit]).collect();
        let histories: BTreeSet<Vec<u32>> = (0..units.len()).map(history).collect();
        // Who was in less has spent less.
        let below = |a: &[u32], b: &[u32]| a != b && a.iter().zip(b).all(|(a, b)| a <= b);
        let largest = histories.iter().filter(|a| !histories.iter().any(|b| below(a, b)));
        Self { contents, private: units, histories: largest.cloned().collect() }
    }

    /// The trainings that some of the units were in.
    pub fn trainings(&self) -> Vec<&'a Training> {
        let took_part = |training: &&Training| {
            self.histories.iter().any(|history| self.times(history, training) > 0)
        };
        self.contents.trainings.values().filter(took_part).collect()
    }

    /// Most occurrences of a unit in any training.
    pub fn repeated(&self) -> u32 {
        self.histories.iter().flatten().copied().max().unwrap_or(0)
    }

    /// The ε of the unit that has spent most, all that is reserved counted as spent.
    ///
    /// # Errors
    /// [`AccountingError`] where some unit has none.
    pub fn epsilon(&self, delta: Delta) -> Result<Epsilon, AccountingError> {
        Ok(self.worst(delta, None)?.epsilon)
    }

    /// How many steps of the kind of the training with number `of` keep to a target, that training
    /// itself left out.
    pub fn allowed(&self, target: Target, of: u64, run: &Run) -> Result<u64, AccountingError> {
        Ok(self.worst(target.delta(), Some((target, of, run)))?.allowed)
    }

    fn worst(
        &self,
        delta: Delta,
        asked: Option<(Target, u64, &Run)>,
    ) -> Result<Worst, AccountingError> {
        let nothing = Epsilon { pld: Some(0.0), rdp: 0.0, classical: 0.0, adaptive: false };
        let mut worst = Worst { epsilon: nothing, allowed: u64::MAX };
        for history in &self.histories {
            let mut accountant = Accountant::new();
            let mut steps = 0;
            for (&number, training) in &self.contents.trainings {
                let times = self.times(history, training);
                if times == 0 || asked.is_some_and(|(_, of, _)| of == number) {
                    continue;
                }
                for run in training.counted() {
                    compose(&run, times, &mut accountant)?;
                    steps += run.steps;
                }
            }
            if let Some((target, of, run)) = asked {
                let training = self.contents.trainings.get(&of);
                let times = training.map_or(0, |training| self.times(history, training));
                if let (1.., Some(segment)) = (times, scaled(&Run { steps: 1, ..*run }, times)) {
                    let allowed = accountant.steps_within(&segment?, target)? / u64::from(times);
                    worst.allowed = worst.allowed.min(allowed);
                }
            } else if steps > 0 {
                let epsilon = accountant.epsilon(delta)?;
                if epsilon.proven() >= worst.epsilon.proven() {
                    worst.epsilon = epsilon;
                }
            }
        }
        Ok(worst)
    }

    /// How often a unit of that history is among the examples of a training. Where only their
    /// number is known, once if the unit was ever in a list of as many.
    fn times(&self, history: &[u32], training: &Training) -> u32 {
        let lists = self.contents.lists.iter().zip(history);
        match training.list {
            Some(list) => lists.filter(|((number, _), _)| **number == list).map(|(_, t)| *t).sum(),
            None => {
                let as_many = |units: &Units| {
                    units.unit == training.unit && units.protected().len() as u64 == training.units
                };
                u32::from(lists.into_iter().any(|((_, units), t)| *t > 0 && as_many(units)))
            }
        }
    }
}
