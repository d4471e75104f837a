//! The chain: what client and trainer both compute, and commits that lead elsewhere.

use sphinx_network::NetworkSpec;
use sphinx_proto::ModelId;
use sphinx_proto::v1::{Commit, StepRates, commit_chunk::Part as Chunk, train_request::Part};
use sphinx_wire::state::{Link, first_chain, hash_from, network_sha256, sealed_sha256};
use tonic::Code;

use crate::common::{assert_refused, network, start_with_model};
use crate::talk::Talk;
use crate::updates::{chunks, gradients, with_hash};

#[tokio::test]
async fn the_chain_begins_at_the_model_and_every_version_is_a_link() {
    let mut trainer = start_with_model(|_| ()).await;
    let model = trainer.part(None).await.unwrap().model.unwrap();
    let incarnation = model.incarnation.as_ref().try_into().unwrap();
    let state = trainer.state().await;
    let network = network_sha256(&NetworkSpec::try_from(network()).unwrap());
    let weights = hash_from(&state.weights_sha256).unwrap();
    let first = first_chain(&ModelId::parse("m").unwrap(), &incarnation, &network, &weights);
    assert_eq!((state.version, &state.chain[..]), (0, &first[..]));
    assert_eq!(
        (&state.previous_chain[..], &state.gradient_sha256[..]),
        (&[0; 32][..], &[0; 32][..])
    );
    assert!(state.sealed.is_empty() && state.session_id.is_empty() && state.step.is_none());

    let mut talk = Talk::open(&trainer, 1).await;
    assert_eq!(talk.opened.state.as_ref(), Some(&state));
    let mut previous = first;
    for step in 0..3 {
        let committed = talk.commit(step, step, step as u8).await.unwrap();
        let state = trainer.state().await;
        let hash = |bytes: &[u8]| hash_from(bytes).unwrap();
        let link = Link {
            previous,
            gradient: hash(&state.gradient_sha256),
            weights: hash(&state.weights_sha256),
            sealed: sealed_sha256(&state.sealed),
        };
        assert_eq!((&state.chain, &state.previous_chain[..]), (&committed.chain, &previous[..]));
        assert_eq!(state.chain, link.chain()[..]);
        assert_eq!((&state.session_id[..], state.step), (&[1; 16][..], Some(step)));
        assert_eq!((state.optimizer_steps, state.averaged_steps), (step + 1, 0));
        assert_eq!(state.sealed[0], step as u8);
        previous = link.chain();
        assert_eq!(Talk::open(&trainer, 1).await.opened.state, Some(state));
    }
}

/// The header of an honest step, changed.
async fn refused(
    trainer: &mut crate::common::Trainer,
    change: impl FnOnce(&mut Commit, &mut Vec<Chunk>),
) -> tonic::Status {
    let before = trainer.parameters().await;
    let talk = Talk::open(trainer, 1).await;
    let (parts, _) = talk.update(0, 0, 1);
    let mut chunks = Vec::new();
    let mut header = None;
    for part in parts {
        match part {
            Part::Commit(commit) => header = Some(commit),
            Part::CommitChunk(chunk) => chunks.extend(chunk.part),
            _ => {}
        }
    }
    chunks.pop();
    let mut header = header.unwrap();
    change(&mut header, &mut chunks);
    let status = talk.refusal(with_hash(header, chunks)).await;
    assert_eq!(trainer.parameters().await, before);
    status
}

#[tokio::test]
async fn rejects_commits_that_lead_to_another_chain_and_stores_nothing() {
    let mut trainer = start_with_model(|_| ()).await;
    let bits = |value: f32| f32::from_bits(value.to_bits() + 1);
    let rates = |header: &mut Commit| header.rates.take().unwrap();
    type Change = Box<dyn FnOnce(&mut Commit, &mut Vec<Chunk>)>;
    let changes: [Change; 6] = [
        Box::new(|header, _| {
            let mut chain = header.chain.to_vec();
            chain[31] ^= 1;
            header.chain = chain.into();
        }),
        // What the trainer would make of these the client has not computed.
        Box::new(move |header, _| {
            let rates = rates(header);
            let learning_rate = bits(rates.learning_rate);
            header.rates = Some(StepRates { learning_rate, ..rates });
        }),
        Box::new(move |header, _| {
            let rates = rates(header);
            let second_correction = bits(rates.second_correction);
            header.rates = Some(StepRates { second_correction, ..rates });
        }),
        Box::new(|_, parts| *parts = chunks(&gradients(2), vec![1].into())),
        Box::new(|_, parts| *parts.last_mut().unwrap() = Chunk::Sealed(vec![9].into())),
        Box::new(|_, parts| *parts.last_mut().unwrap() = Chunk::Sealed(vec![].into())),
    ];
    for change in changes {
        let status = refused(&mut trainer, change).await;
        let words = "the step leads to another chain here than at the client";
        assert_refused(&status, Code::FailedPrecondition, words);
    }
    let mut talk = Talk::open(&trainer, 1).await;
    assert_eq!(talk.commit(0, 0, 1).await.unwrap().version, 1);
}

/// A step along the same gradient is not the same step from another version.
#[tokio::test]
async fn rejects_a_chain_of_another_past() {
    let mut trainer = start_with_model(|_| ()).await;
    let mut talk = Talk::open(&trainer, 1).await;
    talk.commit(0, 0, 1).await.unwrap();
    let before = trainer.parameters().await;
    let mut stale = talk.mirror.clone();
    stale.chain[0] ^= 1;
    let status = {
        let mut talk = Talk::open(&trainer, 1).await;
        talk.mirror = stale;
        let (parts, _) = talk.update(1, 1, 1);
        talk.refusal(parts).await
    };
    assert_refused(&status, Code::FailedPrecondition, "another chain");
    assert_eq!(trainer.parameters().await, before);
    assert_eq!(talk.commit(1, 1, 1).await.unwrap().version, 2);
}

#[tokio::test]
async fn rejects_headers_that_say_no_step() {
    let mut trainer = start_with_model(|_| ()).await;
    let rates = |learning_rate, first_correction, second_correction| {
        Some(StepRates { learning_rate, first_correction, second_correction })
    };
    for (chain, rates, words) in [
        (vec![], rates(0.1, 1.0, 1.0), "commit.chain has length 0: expected 32"),
        (vec![1; 31], rates(0.1, 1.0, 1.0), "commit.chain has length 31: expected 32"),
        (vec![1; 33], rates(0.1, 1.0, 1.0), "commit.chain has length 33: expected 32"),
        (vec![1; 32], None, "commit.rates is missing"),
        (vec![1; 32], rates(f32::NAN, 1.0, 1.0), "learning rate is NaN"),
        (vec![1; 32], rates(-0.5, 1.0, 1.0), "learning rate is -0.5"),
        (vec![1; 32], rates(f32::INFINITY, 1.0, 1.0), "learning rate is inf"),
        (vec![1; 32], rates(0.1, 0.5, 1.0), "correction of the moments is 0.5"),
        (vec![1; 32], rates(0.1, 1.0, f32::NAN), "correction of the moments is NaN"),
    ] {
        let status = refused(&mut trainer, |header, _| {
            header.chain = chain.into();
            header.rates = rates;
        });
        assert_refused(&status.await, Code::InvalidArgument, words);
    }
}

/// A step of that size is refused by what comes of it, and nothing is stored.
#[tokio::test]
async fn rejects_steps_that_diverge() {
    let mut trainer = start_with_model(|_| ()).await;
    let status = refused(&mut trainer, |header, _| {
        let rates = header.rates.as_mut().unwrap();
        (rates.learning_rate, rates.first_correction) = (f32::MAX, f32::MAX);
    });
    assert_refused(&status.await, Code::InvalidArgument, "the step would overflow weight");
}
