//! The state of a training session: a model at one version.

use std::sync::Arc;

use sphinx_linalg::EncryptedBiases;
use sphinx_models::{CommitId, ModelMeta, ModelVersion, StoredNetwork};
use sphinx_network::Linear;
use sphinx_optimizer::{RuleState, TrainingRule};
use sphinx_proto::v1::{Model, OpenSession, SessionOpened, StageScales};
use sphinx_proto::{KeyId, ModelId, SessionId, TenantId, conversion};
use sphinx_wire::training::{backward_input_scale, forward_input_scale};

use crate::error::TrainerError;
use crate::service::{TrainerService, described, network};
use crate::training::optimizer_state;
use crate::training::prepared::{Geometries, PrepareError, PreparedStage};

/// A session: everything it holds can be read again from the store at the last committed version.
pub(crate) struct Session {
    pub id: SessionId,
    pub meta: Arc<ModelMeta>,
    pub model: Model,
    pub rule: TrainingRule,
    pub geometries: Arc<Geometries>,
    pub state: Arc<State>,
}

/// One version of the model, ready for evaluation.
pub(crate) struct State {
    pub version: u64,
    pub commit: Option<CommitId>,
    pub weights: Vec<Vec<f32>>,
    pub biases: Vec<EncryptedBiases>,
    pub rule: RuleState,
    pub stages: Vec<PreparedStage>,
}

impl Session {
    /// Opens a session on the newest version of a model.
    pub async fn open(
        service: &TrainerService,
        tenant: &TenantId,
        open: OpenSession,
    ) -> Result<Self, TrainerError> {
        conversion::parameter_set(open.parameter_set)?;
        let id = SessionId::try_from(open.session_id.as_ref())?;
        let model_id = ModelId::parse(open.model_id)?;
        let key_id = KeyId::parse(open.key_id)?;
        let optimizer = conversion::required("optimizer", "the update rule", open.optimizer)?;
        let rule = TrainingRule::try_from(optimizer)?;
        service.keys.require(tenant, &key_id).await?;
        let stored = service.store.get(tenant, &model_id).await?;
        if stored.meta.key_id != key_id {
            let (model, expected) = (model_id, stored.meta.key_id);
            return Err(TrainerError::OtherKey { model, got: key_id, expected });
        }
        let version = service.store.load(&stored.meta, None).await?;
        let model = Model { version: version.version, ..described(&stored)? };
        let StoredNetwork { spec, plan, .. } = network(&stored.meta)?;
        let meta = Arc::new(stored.meta);
        let geometries = service.compute.run(move || Geometries::new(plan, spec.bias_bound));
        let geometries = Arc::new(geometries.await?);
        let state = restored(service, &meta, version, (id, rule), &geometries).await?;
        tracing::info!(model = %meta.model_id, version = state.version, "session opened");
        Ok(Self { id, meta, model, rule, geometries, state })
    }

    /// Moves to a stored version.
    pub async fn reload(
        &mut self,
        service: &TrainerService,
        version: u64,
    ) -> Result<(), TrainerError> {
        let stored = service.store.load(&self.meta, Some(version)).await?;
        let session = (self.id, self.rule);
        self.state = restored(service, &self.meta, stored, session, &self.geometries).await?;
        Ok(())
    }

    /// The first answer: where the model stands and how to encode inputs.
    pub fn opened(&self) -> SessionOpened {
        let last_step = self.state.commit.filter(|commit| commit.session == self.id);
        let stages = self.geometries.plan.stages.iter().enumerate().map(|(index, stage)| {
            let backward_input = if index == 0 { 0.0 } else { backward_input_scale() };
            StageScales { forward_input: forward_input_scale(stage), backward_input }
        });
        SessionOpened {
            model: Some(self.model.clone()),
            last_step: last_step.map(|commit| commit.step),
            stages: stages.collect(),
        }
    }

    /// The linear layer of each stage.
    pub fn layers(&self) -> impl Iterator<Item = &Linear> {
        self.geometries.plan.stages.iter().map(|stage| &stage.linear)
    }
}

/// Makes a stored version ready, off the asynchronous threads.
async fn restored(
    service: &TrainerService,
    meta: &Arc<ModelMeta>,
    version: ModelVersion,
    session: (SessionId, TrainingRule),
    geometries: &Arc<Geometries>,
) -> Result<Arc<State>, TrainerError> {
    let (meta, geometries) = (Arc::clone(meta), Arc::clone(geometries));
    let restore = move || State::restore(&meta, version, session, &geometries);
    Ok(Arc::new(service.compute.run(restore).await??))
}

impl State {
    fn restore(
        meta: &ModelMeta,
        version: ModelVersion,
        (session, rule): (SessionId, TrainingRule),
        geometries: &Geometries,
    ) -> Result<Self, TrainerError> {
        let damaged = |cause: String| TrainerError::Damaged { model: meta.model_id.clone(), cause };
        let counts = geometries.plan.stages.iter().map(|stage| stage.linear.bias_count());
        if version.weights.len() != counts.len() || version.biases.len() != counts.len() {
            return Err(damaged(format!("parameters of {} stages", version.weights.len())));
        }
        let biases = version
            .biases
            .iter()
            .zip(counts)
            .map(|(bytes, count)| EncryptedBiases::from_bytes(bytes, count))
            .collect::<Result<Vec<_>, _>>()
            .map_err(|error| damaged(error.to_string()))?;
        // What another session left belongs to it: the client's half of that state is gone.
        let own = version.commit.is_some_and(|commit| commit.session == session);
        let (weights, averaged) = (&version.weights, version.averaged);
        let rule = match own {
            true => optimizer_state::restore(version.optimizer, averaged, rule, weights)?,
            false => RuleState::new(rule, weights)?,
        };
        let stages = geometries.prepare(&version.weights, &biases)?;
        let (number, commit) = (version.version, version.commit);
        Ok(Self { version: number, commit, weights: version.weights, biases, rule, stages })
    }
}

impl From<PrepareError> for TrainerError {
    fn from(error: PrepareError) -> Self {
        match error {
            PrepareError::Lower(error) => error.into(),
            PrepareError::Bias(error) => error.into(),
        }
    }
}
