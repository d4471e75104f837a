//! The state of a training session: a model at one version.

use std::sync::Arc;

use bytes::Bytes;
use sphinx_models::{CommitId, ModelMeta, ModelVersion, StoredNetwork, VersionHashes};
use sphinx_network::Linear;
use sphinx_optimizer::TrainingRule;
use sphinx_proto::v1::{self, Model, OpenSession, SessionOpened, VersionState};
use sphinx_proto::{ConversionError, KeyId, ModelId, SessionId, TenantId, conversion};
use sphinx_runtime::Principal;
use sphinx_wire::state::{Hash, WeightState};
use sphinx_wire::training::{BiasForm, Form, Geometries, profile_of_message, working_sha256};

use crate::error::TrainerError;
use crate::service::{TrainerService, described, network};
use crate::training::optimizer_state;
use crate::training::prepared::PreparedStage;

/// Version and target of this build, for clients that compute other bits.
const BUILD: &str =
    concat!("sphinx-trainer ", env!("CARGO_PKG_VERSION"), " for ", env!("SPHINX_TARGET"));

/// A session: everything it holds can be read again from the store at the last committed version.
pub(crate) struct Session {
    pub id: SessionId,
    /// Who opened it.
    pub principal: Principal,
    pub meta: Arc<ModelMeta>,
    pub model: Model,
    pub rule: TrainingRule,
    pub geometries: Arc<Geometries>,
    pub state: Arc<State>,
    /// Whether another stream of the session commits, and this one never.
    pub follows: bool,
    /// As callers see the version that it was opened at.
    described: VersionState,
}

/// One version of the model, ready for evaluation.
pub(crate) struct State {
    pub version: u64,
    pub commit: Option<CommitId>,
    pub hashes: VersionHashes,
    /// Under the session's rule.
    pub weights: WeightState,
    pub stages: Vec<PreparedStage>,
    /// H of what this session computes with.
    working: Hash,
}

impl Session {
    /// Opens a session on the newest version of a model, or on the one that it is to follow from.
    pub async fn open(
        service: &TrainerService,
        principal: Principal,
        tenant: &TenantId,
        open: OpenSession,
    ) -> Result<Self, TrainerError> {
        conversion::parameter_set(open.parameter_set)?;
        let profile = profile_of_message(open.profile)?;
        let id = SessionId::try_from(open.session_id.as_ref())?;
        let model_id = ModelId::parse(open.model_id)?;
        let key_id = KeyId::parse(open.key_id)?;
        let optimizer = conversion::required("optimizer", "the update rule", open.optimizer)?;
        let rule = TrainingRule::try_from(optimizer)?;
        let form = Form { profile, biases: bias_form(open.biases)? };
        service.keys.require(tenant, &key_id).await?;
        let stored = service.store.get(tenant, &model_id).await?;
        if stored.meta.key_id != key_id {
            let (model, expected) = (model_id, stored.meta.key_id);
            return Err(TrainerError::OtherKey { model, got: key_id, expected });
        }
        let version = service.store.load(&stored.meta, open.follows).await?;
        let model = Model { version: version.version, ..described(&stored)? };
        let StoredNetwork { spec, plan, .. } = network(&stored.meta)?;
        let stored_biases = service.store.biases(&stored.meta, version.version).await?;
        let described = version.state(stored_biases.is_some());
        let geometries = service.compute.run(move || Geometries::new(plan, form, spec.bias_bound));
        let geometries = Arc::new(geometries.await?);
        let meta = Arc::new(stored.meta);
        let state = restored(service, &meta, version, (id, rule), &geometries).await?;
        let follows = open.follows.is_some();
        tracing::info!(model = %meta.model_id, version = state.version, follows, "session opened");
        Ok(Self { id, principal, meta, model, rule, geometries, state, follows, described })
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

    /// The first answer: where the model stands, and what this service computes with.
    pub fn opened(&self) -> SessionOpened {
        let last_step = self.state.commit.filter(|commit| commit.session == self.id);
        SessionOpened {
            model: Some(self.model.clone()),
            last_step: last_step.map(|commit| commit.step),
            state: Some(self.described.clone()),
            working_sha256: self.state.working_sha256(),
            build: BUILD.to_owned(),
            follows: self.follows,
        }
    }

    /// The linear layer of each stage.
    pub fn layers(&self) -> impl Iterator<Item = &Linear> {
        self.geometries.plan().stages.iter().map(|stage| &stage.linear)
    }
}

/// Who adds the biases in a session.
fn bias_form(value: i32) -> Result<BiasForm, ConversionError> {
    match v1::BiasForm::try_from(value) {
        Ok(v1::BiasForm::AtHome) => Ok(BiasForm::AtHome),
        Ok(v1::BiasForm::Encrypted) => Ok(BiasForm::Encrypted),
        Err(_) => Err(ConversionError::Value {
            field: "biases",
            got: value.to_string(),
            expected: "BIAS_FORM_AT_HOME or BIAS_FORM_ENCRYPTED",
        }),
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
    /// A state of these weights, `stored` as this version.
    pub fn new(
        stored: &ModelVersion,
        weights: WeightState,
        geometries: &Geometries,
    ) -> Result<Self, TrainerError> {
        let integers = geometries.lower(&weights.weights)?;
        let working = working_sha256(&integers, &weights.optimizer_sha256());
        Ok(Self {
            version: stored.version,
            commit: stored.commit,
            hashes: stored.hashes,
            working,
            weights,
            stages: integers.into_iter().map(PreparedStage::new).collect(),
        })
    }

    /// As callers are told it.
    pub fn working_sha256(&self) -> Bytes {
        Bytes::copy_from_slice(&self.working)
    }

    fn restore(
        meta: &ModelMeta,
        version: ModelVersion,
        (session, rule): (SessionId, TrainingRule),
        geometries: &Geometries,
    ) -> Result<Self, TrainerError> {
        let damaged = |cause: String| TrainerError::Damaged { model: meta.model_id.clone(), cause };
        let expected = geometries.plan().stages.len();
        if version.weights.len() != expected {
            return Err(damaged(format!("weights of {} stages", version.weights.len())));
        }
        let stored = optimizer_state::restore(&version).map_err(|e| damaged(e.to_string()))?;
        // The average of another training belongs to it.
        let within = version.commit.is_some_and(|commit| commit.session == session);
        Self::new(&version, stored.opened(rule, within)?, geometries)
    }
}
