//! Training a stored model from here: session, ledger, loop.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use rand::Rng;
use sphinx_data::{Dataset, Pipeline};
use sphinx_network::{NetworkSpec, Plan};
use sphinx_privacy::Delta;
use sphinx_privacy::ledger::{Digest, Pins};
use sphinx_proto::{KeyId, ModelId, SessionId};
use sphinx_secret::RootKey;
use sphinx_wire::state::network_sha256;

use crate::client::SphinxClient;
use crate::error::{ClientError, StateError, TrainingError};
use crate::memory::Memory;
use crate::suspects::Suspect;
use crate::training::account::DataAccount;
use crate::training::deliver::{Undelivered, deliver};
use crate::training::evaluator::Evaluator;
use crate::training::inputs::Inputs;
use crate::training::ledger::{ModelLedger, Unconfirmed};
use crate::training::mirror::ModelMirror;
use crate::training::options::TrainingOptions;
use crate::training::progress::{Progress, TrainingSummary};
use crate::training::protocol::Protocol;
use crate::training::run::Training;
use crate::training::session::{EncryptedSession, SessionOptions};

/// What to train and on what.
#[derive(Clone)]
pub struct TrainingRequest {
    /// The model.
    pub model_id: ModelId,
    /// The key it was made with.
    pub key_id: KeyId,
    /// The root of that key.
    pub key: Arc<RootKey>,
    /// The examples.
    pub data: Arc<Dataset>,
    /// How long, how fast, how private.
    pub options: TrainingOptions,
    /// File of the model's privacy ledger, made by [`ModelLedger::create`] together with the model.
    pub ledger: PathBuf,
    /// δ of that ledger, at which a budget has to be stated too.
    pub delta: Delta,
    /// Seed of batches, noise, keys and ciphertexts, for experiments that have to be repeatable bit
    /// for bit: whoever knows it can undo all privacy, and two trainings with the same seed show a
    /// service what differs between them. `None` draws from the operating system.
    pub seed: Option<[u8; 32]>,
    /// Forms of the protocol; the default is what everybody should use.
    pub protocol: Protocol,
    /// Streams that the blocks of every step are spread over, at most one per block: see
    /// [`EncryptedSession::sharded`].
    pub shards: NonZeroUsize,
    /// What pictures become before the network gets them, sealed with every version; `None` keeps
    /// what the model has.
    pub pipeline: Option<Pipeline>,
    /// Where suspect models are marked and versions remembered; the default remembers nothing.
    pub memory: Memory,
    /// Where it is accounted for what all models spend of the data; `None` accounts for this model
    /// alone.
    pub account: Option<DataAccount>,
}

impl SphinxClient {
    /// Trains a model and reports after every step; a `false` from `progress` ends the training
    /// after that step.
    ///
    /// The model is brought home and verified first, and every product is checked before anything
    /// that depends on it is recorded or sent. Every step's noised update is recorded in the ledger
    /// before it leaves, together with its exact bytes. An update that an earlier run recorded and
    /// could not confirm is sent again first. A training by the same rule that was interrupted goes
    /// on where it was, with the moments it had, from whatever machine has key and ledger.
    ///
    /// ```no_run
    /// # use std::sync::Arc;
    /// # use sphinx_client::{ClientError, SphinxClient, TrainingRequest};
    /// # type Done = Result<(), ClientError>;
    /// # async fn example(client: SphinxClient, request: TrainingRequest) -> Done {
    /// let summary = client
    ///     .train_model(request, |progress| {
    ///         println!("step {}/{}: loss {:.3}", progress.step, progress.steps, progress.loss);
    ///         true
    ///     })
    ///     .await?;
    /// println!("version {} after {:?}", summary.version, summary.elapsed);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`crate::TrainingError::Ledger`] if the ledger is missing, damaged, another model's or
    /// rolled back: the model is not trained then. [`crate::TrainingError::OtherDelta`] if the
    /// budget is stated at another δ than the ledger's. [`crate::StateError`] if the model is not
    /// what was left, or the trainer answers a product wrongly: nothing is spent then, and the
    /// model is marked. [`crate::MemoryError::Suspect`] if it is marked already.
    /// [`crate::TrainingError::Shards`] for more shards than blocks,
    /// [`crate::TrainingError::Shard`] if a trainer cannot take part.
    /// [`crate::TrainingError::Data`] if the data set has changed or its cap does not allow the
    /// training: nothing is spent then.
    /// [`ClientError::UpdateAbandoned`] if the trainer refuses an update for good: it stays spent,
    /// and the next training goes on without it. Others from the services; the model stays at its
    /// last committed version.
    pub async fn train_model(
        &self,
        request: TrainingRequest,
        mut progress: impl FnMut(&Progress) -> bool + Send + 'static,
    ) -> Result<TrainingSummary, ClientError> {
        request.options.check_shards(request.shards)?;
        request.memory.admit(&request.model_id)?;
        request.memory.admit_key(&request.key_id)?;
        let planned = request.options.resolve(request.data.len())?;
        let mut ledger = ModelLedger::open(
            &request.ledger,
            request.model_id.as_str(),
            (
                (request.options.unit(), request.options.units(request.data.len())?),
                request.account.is_some(),
            ),
            request.delta,
            request.options.privacy,
            planned.privacy.as_ref(),
        )?;
        let options = |session_id, rule| SessionOptions {
            model_id: request.model_id.clone(),
            key_id: request.key_id.clone(),
            key: Arc::clone(&request.key),
            session_id,
            rule,
            protocol: request.protocol,
        };
        if let Some(unconfirmed) = ledger.unconfirmed()? {
            // By the rule of the run that made it, whatever this one's is.
            let options = options(unconfirmed.session_id, unconfirmed.sealed.commit().rule()?);
            let session = Box::new(Box::pin(EncryptedSession::open(self, options)).await?);
            ledger.check_chain(session.version(), session.chain())?;
            ledger = blocking(move || settle(session, ledger, &unconfirmed)).await?;
        }
        let mirror = ModelMirror::fetch(self, &request.key, &request.model_id);
        let mut mirror = Box::pin(mirror).await?;
        check_input(&mirror.spec, &request.data)?;
        if let Some(pipeline) = &request.pipeline {
            mirror.state.pipeline = Some(pipeline.clone());
        }
        let incarnation = mirror.incarnation;
        ledger.check_version(mirror.version, mirror.chain)?;
        request.memory.see(&request.model_id, &incarnation, mirror.version)?;
        if mirror.version == 0 {
            let network = Digest(network_sha256(&mirror.spec));
            ledger.pin(&Pins { first_chain: Digest(mirror.chain), network })?;
        }
        let (session_id, begun) = match mirror.unfinished(&planned.rule) {
            Some(position) => {
                tracing::info!(steps = position.steps, "an interrupted training goes on");
                (position.id, position.steps)
            }
            None => (SessionId(random()), 0),
        };
        if let Some(account) = request.account.clone() {
            let data = Arc::clone(&request.data);
            let persons = request.options.persons.clone();
            let left = ledger.remaining(planned.privacy.as_ref())?;
            let steps = planned.steps.saturating_sub(begun).min(left);
            ledger = blocking(move || {
                account.begin((&data, persons.as_deref()), &mut ledger, steps)?;
                Ok(ledger)
            })
            .await?;
        }
        let options = options(session_id, planned.rule);
        let opening = opened(self, options, mirror, (request.seed, request.shards));
        let mut session = Box::pin(opening).await?;
        let seed = request.seed.unwrap_or_else(random);
        let TrainingRequest { model_id, key_id, memory, .. } = request.clone();
        let trained = blocking(move || {
            let spec = session.spec().clone();
            let inputs = Inputs::new(&Plan::new(&spec)?, &request.data)?;
            let training = Training {
                spec: &spec,
                inputs: &inputs,
                options: &request.options,
                planned: &planned,
                session_id,
                seed,
            };
            let trained = training.run(&mut *session, Some(&mut ledger), &mut progress);
            if let Some(account) = &request.account {
                account.end(&ledger);
            }
            trained
        })
        .await;
        if let Err(ClientError::State(StateError::WrongProduct { version, stage, phase, .. })) =
            &trained
        {
            let named = (&model_id, &key_id, incarnation.as_slice());
            if let Err(cause) = memory.mark(&Suspect::now(named, *version, *stage, phase)) {
                tracing::error!(%cause, "a suspect model could not be marked");
            }
        }
        trained
    }
}

/// A session with as many streams as asked for.
async fn opened(
    client: &SphinxClient,
    options: SessionOptions,
    mirror: ModelMirror,
    (seed, shards): (Option<[u8; 32]>, NonZeroUsize),
) -> Result<Box<EncryptedSession>, ClientError> {
    let session = Box::pin(EncryptedSession::open_at(client, options, mirror)).await?;
    let session = match seed {
        Some(seed) => session.repeatable(seed),
        None => session,
    };
    Ok(Box::new(Box::pin(session.sharded(shards)).await?))
}

/// Whether a network can be trained on, or tested with, a data set: its input has the shape of the
/// images, and it tells as many classes apart.
///
/// # Errors
/// [`TrainingError::Shape`] and [`TrainingError::Classes`]; as [`Plan::new`].
pub fn check_input(network: &NetworkSpec, data: &Dataset) -> Result<(), ClientError> {
    let plan = Plan::new(network)?;
    let (got, expected) = (data.shape(), plan.input);
    if got != expected {
        return Err(TrainingError::Shape { got, expected }.into());
    }
    let (got, expected) = (data.classes().len(), plan.classes);
    if got != expected {
        return Err(TrainingError::Classes { got, expected }.into());
    }
    Ok(())
}

/// Bytes from the operating system.
fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    crate::secure_rng().fill_bytes(&mut bytes);
    bytes
}

/// Sends an unconfirmed update again, byte for byte, unless it had arrived.
///
/// What cannot be committed any more is given up: what the service refuses for good, and what was
/// made for a version that the service, gone back to an older copy, no longer has. Where the
/// service is further, it is not: somebody's steps are missing from the ledger, and the model must
/// not be trained with it.
fn settle(
    mut session: Box<EncryptedSession>,
    mut ledger: ModelLedger,
    unconfirmed: &Unconfirmed,
) -> Result<ModelLedger, ClientError> {
    let (base, server) = (unconfirmed.base_version, session.version());
    let arrived = server == base + 1 && session.last_step() == Some(unconfirmed.step);
    if !arrived && server != base {
        let lost = ClientError::from(TrainingError::PendingLost { server, base });
        return Err(if server < base { ledger.abandon(base, lost) } else { lost });
    }
    if !arrived {
        tracing::info!(base, "repeating the update that an earlier run could not confirm");
        let (step, sealed) = (unconfirmed.step, &unconfirmed.sealed);
        match deliver(&mut *session, step, |session| session.commit_sealed(step, sealed)) {
            Ok(()) => {}
            Err(Undelivered::Refused(error)) => return Err(ledger.abandon(base, error)),
            Err(Undelivered::Open(error)) => return Err(error),
        }
    }
    ledger.confirm(base)?;
    Ok(ledger)
}

/// Runs what blocks on a thread of its own.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, ClientError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(ClientError::Task { cause: error.to_string() }))
}
