//! Messages of clients and services, from their bytes to what is made of them.

use prost::Message;
use sphinx_evaluation_keys::{Query, QueryLayout};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::{OptimizerSpec, TrainingRule};
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::{
    Commit, CommitChunk, Network, OpenSession, Optimizer, SyncDifference, WeightGradient,
};
use sphinx_testbed::training;
use sphinx_wire::commit::{self, CommitReader};
use sphinx_wire::rows::{AwaitedRows, TICKET_ROWS};
use sphinx_wire::sealed::Sealed;
use sphinx_wire::{difference, parameters};

/// A network as `CreateModel` has it, up to its plan.
pub(crate) fn network(bytes: &[u8]) {
    let Ok(message) = Network::decode(bytes) else { return };
    let Ok(spec) = NetworkSpec::try_from(message) else { return };
    if let Ok(plan) = Plan::new(&spec) {
        // Refused by the trainer's limits, but by their numbers alone.
        let _ = (plan.weight_count(), QueryLayout::new(&plan).map(|layout| layout.len()));
    }
}

pub(crate) fn network_seeds() -> Vec<Vec<u8>> {
    let builtin = ["sphinx-mnist"].into_iter().filter_map(NetworkSpec::builtin);
    builtin.chain([training::small()]).map(|spec| Network::from(&spec).encode_to_vec()).collect()
}

/// An update rule as `Train` has it.
pub(crate) fn optimizer(bytes: &[u8]) {
    if let Ok(message) = Optimizer::decode(bytes) {
        let _ = TrainingRule::try_from(message);
    }
}

pub(crate) fn optimizer_seeds() -> Vec<Vec<u8>> {
    let adam = TrainingRule { optimizer: OptimizerSpec::ADAM, ..training::rule() };
    [adam, training::rule()].iter().map(|rule| Optimizer::from(rule).encode_to_vec()).collect()
}

/// A commit with its parts, as a ledger keeps it and a trainer receives it.
pub(crate) fn commit(bytes: &[u8]) {
    let Ok(sealed) = Sealed::read(bytes.to_vec()) else { return };
    assert_eq!(sealed.bytes(), bytes);
    let mut reader = CommitReader::new(sealed.header(), vec![5, 3]);
    for chunk in sealed.parts() {
        let Some(part) = chunk.part.clone() else { return };
        if let Part::Sha256(hash) = &part {
            let _ = reader.finish(hash);
            return;
        }
        if reader.take(part).is_err() {
            return;
        }
    }
}

pub(crate) fn commit_seeds() -> Vec<Vec<u8>> {
    let header =
        Commit { step: 3, base_version: 7, chain: vec![7; 32].into(), ..Commit::default() };
    let gradient = [vec![0.5; 5], vec![-1.0; 3]];
    let parts = commit::parts(&header, &gradient, b"sealed".as_slice().into());
    let open = OpenSession { model_id: "m".to_owned(), ..OpenSession::default() };
    let whole = Sealed::new(open.clone(), header.clone(), parts.clone()).bytes().to_vec();
    let gradient = WeightGradient { stage: 1, offset: 4, values: vec![0; 9].into() };
    let odd =
        vec![CommitChunk { part: Some(Part::Gradient(gradient)) }, CommitChunk { part: None }];
    vec![whole, Sealed::new(open, header, odd).bytes().to_vec()]
}

/// Pieces of answers and queries: differences of weights, weights, rows, queries.
pub(crate) fn pieces(bytes: &[u8]) {
    if let Ok(message) = SyncDifference::decode(bytes) {
        let mut weights = vec![0; 3];
        let _ = difference::append(&message, 1, 1000, &mut weights);
        assert!(weights.len() <= 1000);
    }
    let mut weights = Vec::new();
    let _ = parameters::append_weights(bytes, 100, &mut weights);
    assert!(weights.len() <= 100);
    let mut awaited = AwaitedRows::new(TICKET_ROWS, 300, 1);
    let rows: Vec<u32> = bytes.iter().map(|&byte| u32::from(byte) * 2).collect();
    let (masks, bodies) = (TICKET_ROWS.mask_bytes(), TICKET_ROWS.body_bytes());
    let _ = awaited.take(&rows, rows.len() * masks, rows.len() * bodies);
    assert!(awaited.missing() <= 300);
    let layout = QueryLayout::new(&Plan::new(&training::small()).unwrap()).unwrap();
    let (seed, rest) = bytes.split_at(bytes.len().min(16));
    if let Ok(query) = Query::from_parts(seed, rest.to_vec(), &layout) {
        let _ = (query.masks().count(), query.body());
    }
}

pub(crate) fn pieces_seeds() -> Vec<Vec<u8>> {
    let (from, to) = ([0i8; 200], [3i8; 200]);
    let messages = difference::messages(1, &from, &to);
    let differences = messages.iter().map(Message::encode_to_vec);
    let layout = QueryLayout::new(&Plan::new(&training::small()).unwrap()).unwrap();
    differences.chain([vec![9; 16 + layout.body_bytes()], (0..150).collect()]).collect()
}
