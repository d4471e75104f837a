//! What services and clients store: objects, ledgers, audit logs.

use std::cell::OnceCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sha2::{Digest, Sha256};
use sphinx_audit::{AuditLog, Event, What, verify};
use sphinx_client::ModelLedger;
use sphinx_models::ModelStore;
use sphinx_privacy::data::{DataLedger, DataLedgerError};
use sphinx_privacy::ledger::Ledger;
use sphinx_proto::{ModelId, TenantId};
use sphinx_testbed::{model_meta, model_version, training};
use tokio::runtime::Runtime;

use crate::scratch;

/// Where the hash of an object stands, and where its message begins.
const HASH: std::ops::Range<usize> = 34..66;

thread_local! {
    static STORE: OnceCell<Stored> = const { OnceCell::new() };
}

/// A store of one model, and its objects.
struct Stored {
    runtime: Runtime,
    store: ModelStore,
    objects: Vec<(PathBuf, Vec<u8>)>,
}

impl Stored {
    fn new() -> Self {
        let directory = scratch::path("store");
        fs::create_dir_all(&directory).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let store = ModelStore::open(directory.to_str().unwrap()).unwrap();
        let meta = model_meta("t", "m", "k", &training::small(), [5; 16]);
        let weights = vec![vec![0.5; 64 * 12], vec![0.25; 120]];
        let version = model_version(&meta, None, weights, |_| b"sealed".as_slice().into());
        runtime.block_on(store.create(&meta, version)).unwrap();
        let mut objects = Vec::new();
        files_below(&directory, &mut objects);
        objects.sort();
        Self { runtime, store, objects }
    }

    /// Reads all that a service would.
    fn read(&self) {
        let (tenant, model) = (TenantId::parse("t").unwrap(), ModelId::parse("m").unwrap());
        self.runtime.block_on(async {
            let Ok(stored) = self.store.get(&tenant, &model).await else { return };
            let _ = self.store.load(&stored.meta, None).await;
            let _ = self.store.list(&tenant).await;
        });
    }
}

fn files_below(directory: &Path, found: &mut Vec<(PathBuf, Vec<u8>)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => files_below(&path, found),
            false => found.push((path.clone(), fs::read(&path).unwrap())),
        }
    }
}

/// An object of a model, chosen by the first byte, with the rest in its place: as it is, and in a
/// frame that fits it.
pub(crate) fn objects(bytes: &[u8]) {
    let Some((&which, bytes)) = bytes.split_first() else { return };
    STORE.with(|stored| {
        let stored = stored.get_or_init(Stored::new);
        let (path, original) = &stored.objects[usize::from(which) % stored.objects.len()];
        fs::write(path, bytes).unwrap();
        stored.read();
        fs::write(path, framed(bytes)).unwrap();
        stored.read();
        fs::write(path, original).unwrap();
    });
}

/// The object with length and hash made right.
pub(super) fn framed(bytes: &[u8]) -> Vec<u8> {
    let mut object = bytes.to_vec();
    if let Some(length) = object.len().checked_sub(HASH.end) {
        object[HASH.start - 8..HASH.start].copy_from_slice(&(length as u64).to_le_bytes());
        let mut hash = Sha256::new_with_prefix(&object[..HASH.start]);
        hash.update(&object[HASH.end..]);
        object[HASH].copy_from_slice(&hash.finalize());
    }
    object
}

pub(crate) fn object_seeds() -> Vec<Vec<u8>> {
    STORE.with(|stored| {
        let stored = stored.get_or_init(Stored::new);
        let numbered = stored.objects.iter().zip(0u8..);
        numbered
            .map(|((_, object), number)| {
                assert_eq!(framed(object), *object, "the frame of objects is another one");
                [&[number], &object[..]].concat()
            })
            .collect()
    })
}

/// A file with some bytes changed: four bytes say where, one what.
fn changed(file: &[u8], changes: &[u8]) -> Vec<u8> {
    let mut file = file.to_vec();
    for change in changes.chunks_exact(5) {
        let place = u32::from_le_bytes([change[0], change[1], change[2], change[3]]) as usize;
        let place = place % file.len();
        file[place] = change[4];
    }
    file
}

/// Nothing, and changes of the places that hold something.
fn changes(file: &[u8]) -> Vec<Vec<u8>> {
    let held = file.iter().zip(0u32..).filter(|(byte, _)| **byte != 0);
    let changes = held.map(|(byte, place)| [&place.to_le_bytes()[..], &[byte ^ 1]].concat());
    std::iter::once(Vec::new()).chain(changes).collect()
}

/// A ledger of which some bytes are others.
pub(crate) fn ledger(bytes: &[u8]) {
    let path = scratch::file("ledger", &changed(ledger_file(), bytes));
    let _ = Ledger::open_model(&path, "m").map(|ledger| ledger.head());
}

fn ledger_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        scratch::written("new-ledger", |path| {
            ModelLedger::create(path, "m", 100, training::delta()).unwrap();
        })
    })
}

pub(crate) fn ledger_seeds() -> Vec<Vec<u8>> {
    changes(ledger_file())
}

/// A ledger of data sets of which some bytes are others, as above.
pub(crate) fn data_ledger(bytes: &[u8]) {
    let path = scratch::file("data.redb", &changed(data_ledger_file(), bytes));
    let _ = open_data_ledger(&path).map(|mut ledger| ledger.cap("photos", None));
}

fn open_data_ledger(path: &Path) -> Result<DataLedger, DataLedgerError> {
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    DataLedger::open(path, &scratch::path("no-ledgers"), &mut rng)
}

fn data_ledger_file() -> &'static [u8] {
    static FILE: OnceLock<Vec<u8>> = OnceLock::new();
    FILE.get_or_init(|| {
        scratch::written("new-data.redb", |path| {
            let mut ledger = open_data_ledger(path).unwrap();
            let units = ledger.digester().images([[1; 32], [2; 32]]);
            ledger.register(Some("photos"), units).unwrap();
        })
    })
}

pub(crate) fn data_ledger_seeds() -> Vec<Vec<u8>> {
    changes(data_ledger_file())
}

/// An audit log, read and gone on with.
pub(crate) fn audit(bytes: &[u8]) {
    let path = scratch::file("audit", bytes);
    let _ = verify(&[path], None);
}

pub(crate) fn audit_seeds() -> Vec<Vec<u8>> {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let log = scratch::written("new-audit", |path| {
        let log = AuditLog::open("trainer", path, false).unwrap();
        let event = Event {
            what: What::Begins,
            service: "trainer".to_owned(),
            request: "r".to_owned(),
            rpc: "sphinx.v1.Trainer/Train".to_owned(),
            tenant: "t".to_owned(),
            credential: String::new(),
            object: "model m".to_owned(),
            outcome: String::new(),
        };
        runtime.block_on(log.record(event)).unwrap();
    });
    vec![log]
}
