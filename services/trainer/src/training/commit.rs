//! A commit: the noised weight gradient and the encrypted bias change become the next version.

use std::sync::Arc;

use sha2::{Digest, Sha256};
use sphinx_linalg::EncryptedBiases;
use sphinx_models::{CommitId, ModelVersion};
use sphinx_proto::v1::commit_chunk::Part as Chunk;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Commit, Committed, EncryptedBiases as BiasChange, WeightGradient};
use sphinx_proto::{ConversionError, TrainingRule};
use sphinx_runtime::unix_seconds;
use tonic::Status;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::optimizer_state::RuleState;
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

/// What a commit brings, complete and unaltered.
struct Update {
    /// Empty in an adopting commit.
    gradient: Vec<Vec<f32>>,
    biases: Vec<EncryptedBiases>,
}

/// Masks are expanded and parts hashed on the compute pool, one part at a time.
async fn receive(
    service: &TrainerService,
    session: &Session,
    header: &Commit,
    inbound: &mut Inbound,
) -> Result<Update, Status> {
    let mut receiving = Receiving::new(session, header);
    loop {
        let part = inbound.next("a commit").await?;
        let Part::CommitChunk(chunk) = part else {
            return Err(out_of_order(&part, "commit_chunk").into());
        };
        let expected = "gradient, bias_change or sha256";
        let chunk = chunk.part.ok_or(ConversionError::Missing { field: "part", expected })?;
        if let Chunk::Sha256(hash) = chunk {
            return Ok(receiving.finish(&hash)?);
        }
        let taken = service.compute.run(move || receiving.take(&chunk).map(|()| receiving));
        receiving = taken.await.map_err(TrainerError::from)??;
    }
}

/// A commit on its way.
struct Receiving {
    /// Number of gradient components of each stage: none where averages are adopted.
    expected: Vec<usize>,
    update: Update,
    /// Biases of each stage that have changed already: a change that came twice would be added twice.
    changed: Vec<usize>,
    hash: Sha256,
}

impl Receiving {
    fn new(session: &Session, header: &Commit) -> Self {
        let counts = session.layers().map(|layer| layer.weight_count());
        let expected: Vec<usize> =
            counts.map(|count| if header.adopt_average { 0 } else { count }).collect();
        let stages = expected.len();
        let update =
            Update { gradient: vec![Vec::new(); stages], biases: session.state.biases.clone() };
        Self { expected, update, changed: vec![0; stages], hash: Sha256::new() }
    }

    fn take(&mut self, chunk: &Chunk) -> Result<(), TrainerError> {
        match chunk {
            Chunk::Gradient(part) => self.gradient(part),
            Chunk::BiasChange(part) => self.bias_change(part),
            // Ends the commit; nothing to take in.
            Chunk::Sha256(_) => Ok(()),
        }
    }

    fn gradient(&mut self, part: &WeightGradient) -> Result<(), TrainerError> {
        let stages = self.expected.len();
        let stage = part.stage as usize;
        let (Some(&total), Some(gradient)) =
            (self.expected.get(stage), self.update.gradient.get_mut(stage))
        else {
            return Err(TrainerError::Stage { got: part.stage, stages });
        };
        let (values, rest) = part.values.as_chunks::<4>();
        let (stage, offset) = (part.stage, part.offset);
        if offset != gradient.len() as u64 {
            return Err(TrainerError::GradientOrder { stage, offset, expected: gradient.len() });
        }
        if !rest.is_empty() || gradient.len() + values.len() > total {
            let got = part.values.len();
            return Err(TrainerError::GradientPart { stage, offset, got, total });
        }
        gradient.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
        self.hash.update(&part.values);
        Ok(())
    }

    fn bias_change(&mut self, part: &BiasChange) -> Result<(), TrainerError> {
        let stages = self.expected.len();
        let stage = part.stage as usize;
        let (Some(biases), Some(changed)) =
            (self.update.biases.get_mut(stage), self.changed.get_mut(stage))
        else {
            return Err(TrainerError::Stage { got: part.stage, stages });
        };
        if part.offset as usize != *changed {
            return Err(TrainerError::BiasOrder { stage: part.stage, offset: part.offset });
        }
        biases.add_seeded(*changed, &part.seeds, &part.bodies)?;
        *changed += part.seeds.len() / sphinx_linalg::SEED_BYTES;
        self.hash.update(&part.seeds);
        self.hash.update(&part.bodies);
        Ok(())
    }

    fn finish(self, expected_hash: &[u8]) -> Result<Update, TrainerError> {
        let got = self.hash.finalize();
        if got.as_slice() != expected_hash {
            let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            return Err(TrainerError::Hash { got: hex(&got), expected: hex(expected_hash) });
        }
        let counts = self.update.gradient.iter().map(Vec::len).zip(self.expected);
        for (stage, (got, expected)) in counts.enumerate() {
            if got != expected {
                return Err(TrainerError::GradientIncomplete { stage, got, expected });
            }
        }
        Ok(self.update)
    }
}

async fn apply(
    service: &TrainerService,
    session: &mut Session,
    header: &Commit,
    update: Update,
) -> Result<Committed, TrainerError> {
    let id = CommitId { session: session.id, step: header.step };
    let state = Arc::clone(&session.state);
    if state.commit == Some(id) {
        return Ok(Committed { step: header.step, version: state.version, repeated: true });
    }
    if header.base_version != state.version {
        return Err(TrainerError::Base { got: header.base_version, expected: state.version });
    }
    if header.adopt_average && state.rule.averages.is_none() {
        return Err(TrainerError::NoAverage);
    }
    let (geometries, rule) = (Arc::clone(&session.geometries), session.rule);
    let adopt = header.adopt_average;
    let next = move || next_state(&geometries, &state, update, (&rule, adopt), id);
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
    update: Update,
    (rule, adopt): (&TrainingRule, bool),
    id: CommitId,
) -> Result<(State, ModelVersion), TrainerError> {
    let mut next = state.rule.clone();
    let weights = match next.averaged() {
        Some(averaged) if adopt => averaged,
        _ => step(&mut next, &state.weights, &update.gradient, rule.schedule.rate(id.step))?,
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
        averaged: next.averaged(),
        optimizer: next.encode(rule),
        biases: stored.into_iter().map(Into::into).collect(),
    };
    let next = State { version, commit: Some(id), weights, biases, rule: next, stages };
    Ok((next, record))
}

/// The weights after one step of the optimiser; their average takes them in.
fn step(
    rule: &mut RuleState,
    weights: &[Vec<f32>],
    gradient: &[Vec<f32>],
    rate: f32,
) -> Result<Vec<Vec<f32>>, TrainerError> {
    let mut weights = weights.to_vec();
    for ((weights, optimizer), gradient) in
        weights.iter_mut().zip(&mut rule.optimizers).zip(gradient)
    {
        optimizer.apply(weights, gradient, rate)?;
    }
    for (average, weights) in rule.averages.iter_mut().flatten().zip(&weights) {
        average.update(weights)?;
    }
    Ok(weights)
}
