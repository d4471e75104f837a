//! A model version as the client mirrors it: the same weights and the same steps as at the server,
//! so that every product can be checked, and its own half of the state.

mod fetch;
mod rotate;

use std::sync::Arc;

use bytes::Bytes;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::{RuleState, StepRates, TrainingRule};
use sphinx_proto::{ModelId, SessionId};
use sphinx_secret::ReadKey;
use sphinx_wire::state::{
    Binding, Hash, Link, WeightState, gradient_sha256, network_sha256, sealed_sha256,
};
use sphinx_wire::training::{Geometries, StageIntegers};

use crate::error::ClientError;
use crate::sealed_state::{ClientState, SessionPosition};
use crate::training::evaluator::Update;
use crate::training::trained::Trained;

/// A version, verified: nothing in it was chosen by the server but the weights of version 0.
#[derive(Clone)]
pub(crate) struct ModelMirror {
    pub model_id: ModelId,
    pub spec: NetworkSpec,
    pub plan: Arc<Plan>,
    pub key: Arc<ReadKey>,
    pub version: u64,
    /// h of the version before.
    pub previous: Hash,
    /// h of the version.
    pub chain: Hash,
    pub incarnation: [u8; 16],
    pub weights: WeightState,
    pub state: ClientState,
}

/// A mirror in a training session.
pub(crate) struct SessionMirror {
    mirror: ModelMirror,
    pub session_id: SessionId,
    pub trained: Trained,
    /// Steps of the session that are committed.
    pub steps: u64,
}

/// What a commit sends, and where it leads.
pub(crate) struct NextVersion {
    pub rates: StepRates,
    pub sealed: Bytes,
    pub chain: Hash,
    /// Of the weights after the step.
    pub integers: Vec<StageIntegers>,
    trained: Trained,
    position: SessionPosition,
}

impl ModelMirror {
    /// The session that this version is in the middle of, if it trained by `rule`.
    pub fn unfinished(&self, rule: &TrainingRule) -> Option<SessionPosition> {
        let same = self.state.rule.as_ref().is_some_and(|state| state.rule() == rule);
        self.state.session.filter(|session| same && !session.finished)
    }

    /// As a training by `rule` begins or, with the session that left the version, goes on.
    ///
    /// # Errors
    /// [`crate::TrainingError::Optimizer`] for a rule that makes no sense.
    pub fn opened(
        self,
        session_id: SessionId,
        rule: TrainingRule,
    ) -> Result<SessionMirror, ClientError> {
        let position = self.state.session.filter(|session| session.id == session_id);
        let weights = self.weights.clone().opened(rule, position.is_some())?;
        let biases = self.state.biases.clone();
        let biases_rule = match self.state.rule.clone() {
            Some(state) => state.carried(rule, position.is_some(), &biases)?,
            None => RuleState::new(rule, &biases)?,
        };
        let trained = Trained::new(weights, biases, biases_rule, self.spec.bias_bound);
        let steps = position.map_or(0, |position| position.steps);
        Ok(SessionMirror { mirror: self, session_id, trained, steps })
    }
}

impl SessionMirror {
    /// The version that evaluations use.
    pub fn version(&self) -> u64 {
        self.mirror.version
    }

    /// h of it.
    pub fn chain(&self) -> Hash {
        self.mirror.chain
    }

    /// The network.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.mirror.plan
    }

    /// The network's description.
    pub fn spec(&self) -> &NetworkSpec {
        &self.mirror.spec
    }

    /// The step, its sealed state and the chain it leads to: computed here before anything is
    /// recorded or sent, so that a step that diverges spends nothing.
    ///
    /// # Errors
    /// [`crate::TrainingError::Optimizer`] and [`crate::TrainingError::Integers`] for an update
    /// that does not fit or diverges.
    pub fn next(
        &self,
        geometries: &Geometries,
        step: u64,
        update: &Update,
        last: bool,
    ) -> Result<NextVersion, ClientError> {
        let rates = self.trained.rates(step);
        let mut trained = self.trained.clone();
        trained.advance(&rates, update)?;
        let integers = geometries.lower(&trained.weights.weights)?;
        let weights = trained.weights.weights_sha256();
        let position = SessionPosition { id: self.session_id, steps: step + 1, finished: last };
        let binding = Binding {
            incarnation: self.mirror.incarnation,
            version: self.mirror.version + 1,
            previous: self.mirror.chain,
            network: network_sha256(&self.mirror.spec),
            weights,
            optimizer: trained.weights.optimizer_sha256(),
        };
        let state = ClientState {
            biases: trained.biases.clone(),
            rule: Some(trained.rule.clone()),
            session: Some(position),
            pipeline: self.mirror.state.pipeline.clone(),
        };
        let sealed = state.seal(&self.mirror.key, &self.mirror.model_id, &binding);
        let link = Link {
            previous: self.mirror.chain,
            gradient: gradient_sha256(&update.gradient),
            weights,
            sealed: sealed_sha256(&sealed),
        };
        let (sealed, chain) = (sealed.into(), link.chain());
        Ok(NextVersion { rates, sealed, chain, integers, trained, position })
    }

    /// Moves on to a version that is committed; its integers.
    pub fn committed(&mut self, next: NextVersion) -> Vec<StageIntegers> {
        self.mirror.version += 1;
        self.mirror.chain = next.chain;
        self.steps = next.position.steps;
        self.trained = next.trained;
        next.integers
    }
}
