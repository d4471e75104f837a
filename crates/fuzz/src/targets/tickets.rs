//! Stores of tickets: files of a database, in any state that a disk can bring them to.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use sphinx_tickets::{Edition, Owner, StageShape, StoreKey, TicketParts, TicketStore};
use zeroize::Zeroizing;

use crate::scratch;

/// A store of which one block has these bytes: looked at, and a ticket taken from it.
pub(crate) fn store(bytes: &[u8]) {
    let directory = scratch::path("tickets");
    // There may be none.
    let _ = fs::remove_dir_all(&directory);
    scratch::file(&format!("tickets/{}", block().0), bytes);
    let Ok(store) = open(&directory) else { return };
    let _ = store.status();
    let _ = store.take(&edition(), 1);
    let _ = store.flush();
}

pub(crate) fn store_seeds() -> Vec<Vec<u8>> {
    vec![block().1.clone()]
}

fn open(directory: &Path) -> Result<TicketStore, sphinx_tickets::TicketStoreError> {
    let own = str::to_owned;
    let owner = Owner { tenant: own("t"), model: own("m"), key_id: own("k") };
    TicketStore::open(directory, owner, &StoreKey::new(Zeroizing::new([1; 32])))
}

fn edition() -> Edition {
    let stage = |(inputs, outputs)| StageShape { inputs, outputs, modulus_bits: 24 };
    Edition { incarnation: vec![5; 16], version: 1, stages: [(9, 5), (5, 3)].map(stage).into() }
}

/// A block of three tickets: the name of its file and the bytes.
fn block() -> &'static (String, Vec<u8>) {
    static BLOCK: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    BLOCK.get_or_init(|| {
        let directory = scratch::path("new-tickets");
        let answers: Vec<_> = [5, 3].map(|outputs| Zeroizing::new(vec![7; outputs])).into();
        let seeds = [[1; 16], [2; 16], [3; 16]];
        let tickets = seeds.each_ref().map(|seed| TicketParts { seed, answers: &answers });
        open(&directory).unwrap().add(&edition(), &tickets).unwrap();
        let files = fs::read_dir(&directory).unwrap().map(|file| file.unwrap().path());
        let block = files.filter(|path| path.extension().is_some_and(|end| end == "tickets"));
        let [block] = block.collect::<Vec<_>>().try_into().unwrap();
        (block.file_name().unwrap().to_str().unwrap().to_owned(), fs::read(&block).unwrap())
    })
}
