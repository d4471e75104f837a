//! Small tickets and where they are kept.

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use sphinx_tickets::{
    Edition, Owner, StageShape, StoreKey, StoredTicket, TicketParts, TicketStore,
};
use tempfile::TempDir;
use zeroize::Zeroizing;

pub fn owner() -> Owner {
    let own = str::to_owned;
    Owner { tenant: own("default"), model: own("digits"), key_id: own("mine") }
}

pub fn key(byte: u8) -> StoreKey {
    StoreKey::new(Zeroizing::new([byte; 32]))
}

pub fn edition(version: u64) -> Edition {
    let stages = [(50, 30, 24), (30, 7, 31), (7, 10, 32)];
    let stage = |(inputs, outputs, modulus_bits)| StageShape { inputs, outputs, modulus_bits };
    Edition { incarnation: vec![5; 16], version, stages: stages.map(stage).into() }
}

pub fn open(directory: &Path) -> TicketStore {
    TicketStore::open(directory, owner(), &key(1)).unwrap()
}

/// A ticket before it is kept.
pub struct Made {
    pub seed: [u8; 16],
    pub answers: Vec<Zeroizing<Vec<u32>>>,
}

impl Made {
    pub fn parts(&self) -> TicketParts<'_> {
        TicketParts { seed: &self.seed, answers: &self.answers }
    }

    pub fn is(&self, stored: &StoredTicket) -> bool {
        self.seed == *stored.seed && self.answers == stored.answers
    }
}

/// Random tickets of an edition.
pub fn tickets(count: usize, edition: &Edition, seed: u64) -> Vec<Made> {
    let mut rng = ChaCha20Rng::seed_from_u64(seed);
    let mut made = || {
        let mut seed = [0; 16];
        rng.fill_bytes(&mut seed);
        let answers = edition.stages.iter().map(|stage| {
            let word = |_| rng.next_u32() >> (32 - stage.modulus_bits);
            Zeroizing::new((0..stage.outputs).map(word).collect())
        });
        Made { answers: answers.collect(), seed }
    };
    (0..count).map(|_| made()).collect()
}

pub fn add(store: &TicketStore, edition: &Edition, made: &[Made]) {
    let parts: Vec<TicketParts<'_>> = made.iter().map(Made::parts).collect();
    store.add(edition, &parts).unwrap();
}

/// A store with blocks of version 1.
pub fn filled(blocks: &[usize]) -> (TempDir, TicketStore, Vec<Vec<Made>>) {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let made = (0..).zip(blocks).map(|(seed, &count)| {
        let made = tickets(count, &edition(1), seed);
        add(&store, &edition(1), &made);
        made
    });
    let made = made.collect();
    (directory, store, made)
}

/// The files of a store with an extension.
pub fn files(directory: &Path, extension: &str) -> Vec<std::path::PathBuf> {
    let paths = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|e| e == extension)).collect()
}
