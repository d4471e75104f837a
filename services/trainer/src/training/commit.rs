//! A commit: the noised weight gradient and the encrypted bias change become the next version.

use std::sync::Arc;

use sphinx_linalg::EncryptedBiases;
use sphinx_models::{CommitId, ModelVersion};
use sphinx_proto::ConversionError;
use sphinx_proto::v1::commit_chunk::Part as Chunk;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Commit, Committed};
use sphinx_runtime::unix_seconds;
use sphinx_wire::commit::{CommitReader, ReceivedUpdate};
use tonic::Status;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::optimizer_state;
use crate::training::prepared::Geometries;
use crate::training::session::{Session, State};
use crate::training::streams::{Inbound, Outbound, out_of_order};

/// Receives a commit, stores the next version durably, moves the session on to it and says so.
pub(crate) async fn commit(
    service: &TrainerService,
    session: &mut Session,
    header: &Commit,
    inbound: &mut Inbound,
    outbound: &Outbound,
) -> Result<(), Status> {
    let update = receive(service, session, header, inbound).await?;
    let committed = apply(service, session, header, update).await?;
    outbound.send(Reply::Committed(committed)).await
}

/// Masks are expanded and parts hashed on the compute pool, one part at a time.
async fn receive(
    service: &TrainerService,
    session: &Session,
    header: &Commit,
    inbound: &mut Inbound,
) -> Result<ReceivedUpdate, Status> {
    let adopts = header.adopt_average;
    let counts = session.layers().map(|layer| if adopts { 0 } else { layer.weight_count() });
    let mut reader = CommitReader::new(counts.collect(), session.state.biases.clone());
    loop {
        let part = inbound.next("a commit").await?;
        let Part::CommitChunk(chunk) = part else {
            return Err(out_of_order(&part, "commit_chunk").into());
        };
        let expected = "gradient, bias_change or sha256";
        let chunk = chunk.part.ok_or(ConversionError::Missing { field: "part", expected })?;
        if let Chunk::Sha256(hash) = chunk {
            return Ok(reader.finish(&hash).map_err(TrainerError::from)?);
        }
        let taken = service.compute.run(move || reader.take(&chunk).map(|()| reader));
        let taken = taken.await.map_err(TrainerError::from)?;
        reader = taken.map_err(TrainerError::from)?;
    }
}

async fn apply(
    service: &TrainerService,
    session: &mut Session,
    header: &Commit,
    update: ReceivedUpdate,
) -> Result<Committed, TrainerError> {
    let id = CommitId { session: session.id, step: header.step };
    let state = Arc::clone(&session.state);
    if state.commit == Some(id) {
        return Ok(Committed { step: header.step, version: state.version, repeated: true });
    }
    if header.base_version != state.version {
        return Err(TrainerError::Base { got: header.base_version, expected: state.version });
    }
    if header.adopt_average && state.rule.averages().is_none() {
        return Err(TrainerError::NoAverage);
    }
    let geometries = Arc::clone(&session.geometries);
    let adopt = header.adopt_average;
    let next = move || next_state(&geometries, &state, update, adopt, id);
    let (next, record) = service.compute.run(next).await??;
    let committed = service.store.commit(&session.meta, record).await?;
    if committed.repeated {
        // Another stream of this session stored it: what counts is what it brought.
        session.reload(service, committed.version).await?;
    } else {
        session.state = Arc::new(next);
    }
    tracing::debug!(version = committed.version, step = header.step, adopt, "committed");
    Ok(Committed { step: header.step, version: committed.version, repeated: committed.repeated })
}

/// The next version in memory and as it is stored.
fn next_state(
    geometries: &Geometries,
    state: &State,
    update: ReceivedUpdate,
    adopt: bool,
    id: CommitId,
) -> Result<(State, ModelVersion), TrainerError> {
    let mut next = state.rule.clone();
    let weights = match optimizer_state::averaged(&next) {
        Some(averaged) if adopt => averaged,
        _ => {
            let mut weights = state.weights.clone();
            next.step(id.step, &mut weights, &update.gradient)?;
            weights
        }
    };
    // As they are stored: a version must evaluate alike whether it was made here or read.
    let stored: Vec<_> = update.biases.iter().map(EncryptedBiases::to_bytes).collect();
    let biases = stored
        .iter()
        .zip(&update.biases)
        .map(|(bytes, biases)| EncryptedBiases::from_bytes(bytes, biases.len()))
        .collect::<Result<Vec<_>, _>>()?;
    let stages = geometries.prepare(&weights, &biases)?;
    let version = state.version + 1;
    let record = ModelVersion {
        version,
        commit: Some(id),
        updated_unix_seconds: unix_seconds(),
        weights: weights.clone(),
        averaged: optimizer_state::averaged(&next),
        optimizer: optimizer_state::encode(&next),
        biases: stored.into_iter().map(Into::into).collect(),
    };
    let next = State { version, commit: Some(id), weights, biases, rule: next, stages };
    Ok((next, record))
}
