//! The client's half of a model version, as it lies sealed at the server: biases first of all, and
//! what the training of the next step needs.
//!
//! A message that may grow: whoever only predicts reads the biases and nothing else.

use prost::Message;
use sphinx_data::Pipeline;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::{OptimizerState, RuleState, TrainingRule};
use sphinx_proto::{ModelId, SessionId, v1};
use sphinx_secret::ReadKey;
use sphinx_wire::state::Binding;
use zeroize::{Zeroize, Zeroizing};

use crate::error::{ClientError, StateError};

/// What is sealed. Wiped on drop; `Debug` is left to the wrapper types that hide it.
#[derive(Clone, PartialEq, Message)]
struct Sealed {
    #[prost(message, repeated, tag = "1")]
    biases: Vec<Floats>,
    /// The rule of the training that left the state.
    #[prost(message, optional, tag = "2")]
    rule: Option<v1::Optimizer>,
    #[prost(message, repeated, tag = "3")]
    moments: Vec<Moments>,
    #[prost(message, repeated, tag = "4")]
    averages: Vec<Floats>,
    /// Steps that the averages have taken in.
    #[prost(uint64, tag = "5")]
    averaged_steps: u64,
    #[prost(bytes = "vec", tag = "6")]
    session_id: Vec<u8>,
    /// Steps of that session that are done.
    #[prost(uint64, tag = "7")]
    steps: u64,
    /// Whether the session has reached its end, and is not to be gone on with.
    #[prost(bool, tag = "8")]
    finished: bool,
    /// The pipeline as JSON, which may grow; empty for none.
    #[prost(bytes = "vec", tag = "9")]
    pipeline: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
struct Floats {
    #[prost(float, repeated, tag = "1")]
    values: Vec<f32>,
}

#[derive(Clone, PartialEq, Message)]
struct Moments {
    #[prost(uint64, tag = "1")]
    steps: u64,
    #[prost(float, repeated, tag = "2")]
    first: Vec<f32>,
    #[prost(float, repeated, tag = "3")]
    second: Vec<f32>,
}

/// How far a training session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionPosition {
    pub id: SessionId,
    /// Steps that are done.
    pub steps: u64,
    /// Whether it has reached its end.
    pub finished: bool,
}

/// The client's half of a version. `Debug` shows nothing of it.
#[derive(Clone, PartialEq)]
pub(crate) struct ClientState {
    /// By stage, multiples of 2^-16.
    pub biases: Vec<Vec<f32>>,
    /// What the rule remembers of the biases; none before the first training.
    pub rule: Option<RuleState>,
    /// The session that left it; none before the first.
    pub session: Option<SessionPosition>,
    /// What pictures become before the network gets them; none of models of earlier releases.
    pub pipeline: Option<Pipeline>,
}

impl std::fmt::Debug for ClientState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ClientState").field("session", &self.session).finish_non_exhaustive()
    }
}

impl ClientState {
    /// That of version 0.
    pub fn initial(plan: &Plan) -> Self {
        let zero = plan.stages.iter().map(|stage| vec![0.0; stage.linear.bias_count()]);
        Self { biases: zero.collect(), rule: None, session: None, pipeline: None }
    }

    /// Seals the state for a place, under a nonce from the operating system.
    pub fn seal(&self, key: &ReadKey, model: &ModelId, binding: &Binding) -> Vec<u8> {
        let floats = |vectors: &[Vec<f32>]| -> Vec<Floats> {
            vectors.iter().map(|values| Floats { values: values.clone() }).collect()
        };
        let rule = self.rule.as_ref();
        let averages = rule.and_then(RuleState::averages).unwrap_or_default();
        let moments = rule.into_iter().flat_map(RuleState::moments);
        let mut message = Sealed {
            biases: floats(&self.biases),
            rule: rule.map(|rule| rule.rule().into()),
            moments: moments
                .map(|OptimizerState { steps, first, second }| Moments {
                    steps: *steps,
                    first: first.clone(),
                    second: second.clone(),
                })
                .collect(),
            averages: averages.iter().map(|a| Floats { values: a.average.clone() }).collect(),
            averaged_steps: averages.first().map(|a| a.updates).unwrap_or_default(),
            session_id: self.session.map(|session| session.id.0.to_vec()).unwrap_or_default(),
            steps: self.session.map(|session| session.steps).unwrap_or_default(),
            finished: self.session.is_some_and(|session| session.finished),
            // Names and numbers alone: they have a form.
            pipeline: self.pipeline.as_ref().map(written).unwrap_or_default(),
        };
        let plaintext = Zeroizing::new(message.encode_to_vec());
        message.wipe();
        key.seal(&binding.associated_data(model), &plaintext, &mut crate::secure_rng())
    }

    /// Opens what was sealed for this place.
    ///
    /// # Errors
    /// [`StateError::Sealed`] if it was not sealed under this key for this place,
    /// [`StateError::Contents`] if it is no state of the network: another release sealed it.
    pub fn open(
        key: &ReadKey,
        spec: &NetworkSpec,
        model: &ModelId,
        binding: &Binding,
        sealed: &[u8],
    ) -> Result<Self, ClientError> {
        let opened = key.open(&binding.associated_data(model), sealed).map_err(|cause| {
            StateError::Sealed { model: model.to_string(), version: binding.version, cause }
        })?;
        let wrong = |cause: String| StateError::Contents {
            model: model.to_string(),
            version: binding.version,
            cause,
        };
        let mut message = Sealed::decode(&opened[..]).map_err(|error| wrong(error.to_string()))?;
        let state = message.state(spec).map_err(wrong);
        message.wipe();
        Ok(state?)
    }
}

impl Sealed {
    fn state(&self, spec: &NetworkSpec) -> Result<ClientState, String> {
        let plan = Plan::new(spec).map_err(|error| error.to_string())?;
        let biases: Vec<Vec<f32>> = self.biases.iter().map(|stage| stage.values.clone()).collect();
        let counts = plan.stages.iter().map(|stage| stage.linear.bias_count());
        if !biases.iter().map(Vec::len).eq(counts) {
            return Err("biases of another network".to_owned());
        }
        let sound = |bias: &f32| bias.abs() <= spec.bias_bound;
        if !biases.iter().flatten().all(sound) {
            return Err(format!("a bias beyond the network's bound of {}", spec.bias_bound));
        }
        let rule = self.rule.map(|rule| self.rule_state(rule, &biases)).transpose()?;
        let id = SessionId::try_from(self.session_id.as_slice()).ok();
        let session =
            id.map(|id| SessionPosition { id, steps: self.steps, finished: self.finished });
        let pipeline = (!self.pipeline.is_empty()).then(|| {
            let read = serde_json::from_slice(&self.pipeline);
            read.map_err(|error| format!("a pipeline of another release ({error})"))
        });
        Ok(ClientState { biases, rule, session, pipeline: pipeline.transpose()? })
    }

    fn rule_state(&self, rule: v1::Optimizer, biases: &[Vec<f32>]) -> Result<RuleState, String> {
        let rule = TrainingRule::try_from(rule).map_err(|error| error.to_string())?;
        let moments = self.moments.iter().map(|moments| OptimizerState {
            steps: moments.steps,
            first: moments.first.clone(),
            second: moments.second.clone(),
        });
        let averages = self.averages.iter().map(|average| average.values.clone()).collect();
        let averages = rule.averaging.map(|_| (self.averaged_steps, averages));
        RuleState::restore(rule, moments.collect(), averages, biases)
            .map_err(|error| error.to_string())
    }

    fn wipe(&mut self) {
        let floats = self.biases.iter_mut().chain(&mut self.averages);
        floats.for_each(|floats| floats.values.zeroize());
        for moments in &mut self.moments {
            moments.first.zeroize();
            moments.second.zeroize();
        }
    }
}

/// A pipeline as it is sealed and kept at home.
pub(crate) fn written(pipeline: &Pipeline) -> Vec<u8> {
    serde_json::to_vec(pipeline).unwrap_or_default()
}

#[cfg(test)]
mod tests;
