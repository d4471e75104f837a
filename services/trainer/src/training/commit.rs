//! A commit: the noised weight gradient and the client's sealed state become the next version.

use std::sync::Arc;

use sphinx_models::{CommitId, ModelVersion, VersionHashes};
use sphinx_optimizer::StepRates;
use sphinx_proto::ConversionError;
use sphinx_proto::conversion::required;
use sphinx_proto::v1::commit_chunk::Part as Chunk;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{self, Commit, Committed};
use sphinx_runtime::{Object, unix_seconds};
use sphinx_wire::commit::{CommitReader, ReceivedUpdate};
use sphinx_wire::state::{Hash, Link, gradient_sha256, hash_from, sealed_sha256};
use sphinx_wire::training::Geometries;
use tonic::Status;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::optimizer_state::{self, Stored};
use crate::training::session::{Session, State};
use crate::training::streams::{Inbound, Outbound, out_of_order};

/// What a commit does, read from its header.
struct Step {
    id: CommitId,
    base_version: u64,
    /// None adopts the average.
    rates: Option<StepRates>,
    chain: Hash,
}

/// Receives a commit, stores the next version durably, moves the session on to it and says so.
pub(crate) async fn commit(
    service: &TrainerService,
    session: &mut Session,
    header: &Commit,
    inbound: &mut Inbound,
    outbound: &Outbound,
) -> Result<(), Status> {
    let step = Step::parse(session, header)?;
    let version = step.base_version.saturating_add(1);
    session.principal.acts_on(Object::Version(&session.meta.model_id, version)).await?;
    let update = receive(service, session, header, inbound).await?;
    let committed = apply(service, session, step, update).await?;
    outbound.send(Reply::Committed(committed)).await
}

impl Step {
    fn parse(session: &Session, header: &Commit) -> Result<Self, ConversionError> {
        let chain = hash_from(&header.chain).ok_or(ConversionError::Length {
            field: "commit.chain",
            got: header.chain.len(),
            expected: 32,
        })?;
        let rates = match header.adopt_average {
            true => None,
            false => {
                let rates =
                    required("commit.rates", "what the step multiplies with", header.rates)?;
                let v1::StepRates { learning_rate, first_correction, second_correction } = rates;
                Some(StepRates { learning_rate, first_correction, second_correction })
            }
        };
        let id = CommitId { session: session.id, step: header.step };
        Ok(Self { id, base_version: header.base_version, rates, chain })
    }
}

/// Parts are hashed on the compute pool, one at a time.
async fn receive(
    service: &TrainerService,
    session: &Session,
    header: &Commit,
    inbound: &mut Inbound,
) -> Result<ReceivedUpdate, Status> {
    let adopts = header.adopt_average;
    let counts = session.layers().map(|layer| if adopts { 0 } else { layer.weight_count() });
    let mut reader = CommitReader::new(header, counts.collect());
    loop {
        let part = inbound.next("a commit").await?;
        let Part::CommitChunk(chunk) = part else {
            return Err(out_of_order(&part, "commit_chunk").into());
        };
        let expected = "gradient, sealed or sha256";
        let chunk = chunk.part.ok_or(ConversionError::Missing { field: "part", expected })?;
        if let Chunk::Sha256(hash) = chunk {
            let whole = reader.finish(&hash);
            if whole.is_err() {
                service.metrics.check_failed("commit");
            }
            return Ok(whole.map_err(TrainerError::from)?);
        }
        let taken = service.compute.run(move || reader.take(chunk).map(|()| reader));
        let taken = taken.await.map_err(TrainerError::from)?;
        reader = taken.map_err(TrainerError::from)?;
    }
}

async fn apply(
    service: &TrainerService,
    session: &mut Session,
    step: Step,
    update: ReceivedUpdate,
) -> Result<Committed, TrainerError> {
    let (number, adopt) = (step.id.step, step.rates.is_none());
    let state = Arc::clone(&session.state);
    if state.commit == Some(step.id) {
        return Ok(committed(number, &state, true));
    }
    if step.base_version != state.version {
        return Err(TrainerError::Base { got: step.base_version, expected: state.version });
    }
    let geometries = Arc::clone(&session.geometries);
    let next = move || next_state(&geometries, &state, update, &step);
    let made = service.compute.run(next).await?;
    if let Err(TrainerError::Chain) = &made {
        service.metrics.check_failed("chain");
    }
    let (next, record) = made?;
    let stored = service.store.commit(&session.meta, record).await?;
    if stored.repeated {
        // Another stream of this session stored it: what counts is what it brought.
        session.reload(service, stored.version).await?;
    } else {
        service.metrics.stepped(&session.meta.incarnation);
        session.state = Arc::new(next);
    }
    tracing::debug!(version = stored.version, step = number, adopt, "committed");
    Ok(committed(number, &session.state, stored.repeated))
}

fn committed(step: u64, state: &State, repeated: bool) -> Committed {
    let chain = state.hashes.chain.to_vec().into();
    Committed { step, version: state.version, repeated, chain }
}

/// The next version in memory and as it is stored.
fn next_state(
    geometries: &Geometries,
    state: &State,
    update: ReceivedUpdate,
    step: &Step,
) -> Result<(State, ModelVersion), TrainerError> {
    let mut weights = state.weights.clone();
    let gradient = match &step.rates {
        Some(rates) => {
            weights.step(rates, &update.gradient)?;
            gradient_sha256(&update.gradient)
        }
        None => {
            weights.adopt()?;
            gradient_sha256(&[])
        }
    };
    let link = Link {
        previous: state.hashes.chain,
        gradient,
        weights: weights.weights_sha256(),
        sealed: sealed_sha256(&update.sealed),
    };
    let chain = link.chain();
    if chain != step.chain {
        return Err(TrainerError::Chain);
    }
    let stored = weights.rule.as_ref().map(optimizer_state::encode);
    let Stored { optimizer, optimizer_steps, averaged, averaged_steps } =
        stored.ok_or(TrainerError::NoRule)?;
    let hashes = VersionHashes {
        chain,
        previous: link.previous,
        gradient: link.gradient,
        weights: link.weights,
        optimizer: weights.optimizer_sha256(),
    };
    let record = ModelVersion {
        version: state.version + 1,
        commit: Some(step.id),
        updated_unix_seconds: unix_seconds(),
        weights: weights.weights.clone(),
        averaged,
        optimizer,
        optimizer_steps,
        averaged_steps,
        sealed: update.sealed,
        hashes,
    };
    Ok((State::new(&record, weights, geometries)?, record))
}
