//! Bringing a version home and verifying it.

use std::sync::Arc;

use sphinx_network::Plan;
use sphinx_optimizer::TrainingRule;
use sphinx_proto::ModelId;
use sphinx_proto::v1::get_model_request::Part;
use sphinx_proto::v1::{OptimizerPart, VersionState, WeightsPart};
use sphinx_secret::{ModelName, RootKey};
use sphinx_wire::parameters::{WEIGHTS_PER_PART, append_weights, optimizer_len, optimizer_state};
use sphinx_wire::state::{
    Binding, Hash, Link, WeightState, first_chain, hash_from, network_sha256, sealed_sha256,
};

use super::ModelMirror;
use crate::client::SphinxClient;
use crate::error::{ClientError, StateError};
use crate::sealed_state::ClientState;

/// The hashes of a version as the server states them.
struct Stated {
    version: u64,
    chain: Hash,
    link: Link,
    optimizer: Hash,
}

impl ModelMirror {
    /// The newest version of a model: opens its sealed state, fetches weights and moments, and
    /// compares all of it with the hashes that the state is bound to.
    ///
    /// # Errors
    /// [`StateError`] if anything is not what the owner left;
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with NOT_FOUND if there is no such
    /// model.
    pub async fn fetch(
        client: &SphinxClient,
        root: &RootKey,
        model_id: &ModelId,
    ) -> Result<Self, ClientError> {
        let first = Part::Weights(WeightsPart { stage: 0, offset: 0, count: 1 });
        let (model, reply) = client.get_model(model_id, None, Some(first)).await?;
        let state = reply.state.ok_or_else(|| client.trainer.protocol("no state", "a state"))?;
        let (spec, incarnation) = (model.network, model.incarnation);
        let plan = Plan::new(&spec)?;
        let stated = client.stated(&state)?;
        let tenant = client.tenant.to_string();
        let key = root.read_key(&ModelName { tenant, model: model_id.to_string(), incarnation });
        let network = network_sha256(&spec);
        let other_chain =
            || StateError::OtherChain { model: model_id.to_string(), version: stated.version };
        let binding = Binding {
            incarnation,
            version: stated.version,
            previous: stated.link.previous,
            network,
            weights: stated.link.weights,
            optimizer: stated.optimizer,
        };
        let (own, chain) = if stated.version == 0 {
            let chain = first_chain(model_id, &incarnation, &network, &stated.link.weights);
            (ClientState::initial(&plan), chain)
        } else {
            let opened = ClientState::open(&key, &spec, model_id, &binding, &state.sealed)?;
            (opened, stated.link.chain())
        };
        if chain != stated.chain {
            return Err(other_chain().into());
        }
        let version = stated.version;
        let mut weights = Vec::with_capacity(plan.stages.len());
        for (index, stage) in plan.stages.iter().enumerate() {
            let count = stage.linear.weight_count();
            weights.push(client.weights(model_id, version, index, count).await?);
        }
        let rule = own.rule.as_ref().map(|state| *state.rule());
        let rule = match rule {
            Some(rule) => Some(client.optimizer(model_id, &state, rule, &weights).await?),
            None => None,
        };
        let weights = WeightState { weights, rule };
        let hashes = (weights.weights_sha256(), weights.optimizer_sha256());
        if hashes != (binding.weights, binding.optimizer) {
            return Err(StateError::Weights { model: model_id.to_string(), version }.into());
        }
        let (model_id, plan, key) = (model_id.clone(), Arc::new(plan), Arc::new(key));
        Ok(Self { model_id, spec, plan, key, version, chain, incarnation, weights, state: own })
    }
}

impl SphinxClient {
    /// The hashes of a state.
    fn stated(&self, state: &VersionState) -> Result<Stated, ClientError> {
        let read = |bytes: &[u8]| {
            let got = format_args!("a hash of {} bytes", bytes.len());
            hash_from(bytes).ok_or_else(|| self.trainer.protocol(got, 32))
        };
        Ok(Stated {
            version: state.version,
            chain: read(&state.chain)?,
            link: Link {
                previous: read(&state.previous_chain)?,
                gradient: read(&state.gradient_sha256)?,
                weights: read(&state.weights_sha256)?,
                sealed: sealed_sha256(&state.sealed),
            },
            optimizer: read(&state.optimizer_sha256)?,
        })
    }

    /// Moments and averages of the weights of a version.
    async fn optimizer(
        &self,
        model_id: &ModelId,
        state: &VersionState,
        rule: TrainingRule,
        weights: &[Vec<f32>],
    ) -> Result<sphinx_optimizer::RuleState, ClientError> {
        let mut vectors = Vec::with_capacity(weights.len());
        for (stage, weights) in (0u32..).zip(weights) {
            let expected = optimizer_len(&rule, weights.len());
            let mut vector = Vec::with_capacity(expected);
            while vector.len() < expected {
                let offset = vector.len() as u64;
                let part = OptimizerPart { stage, offset, count: WEIGHTS_PER_PART };
                let part = Some(Part::Optimizer(part));
                let (_, reply) = self.get_model(model_id, Some(state.version), part).await?;
                append_weights(&reply.optimizer, expected, &mut vector)
                    .map_err(|wrong| self.trainer.mismatch(wrong))?;
            }
            vectors.push(vector);
        }
        let steps = (state.optimizer_steps, state.averaged_steps);
        Ok(optimizer_state(rule, steps, vectors, weights)?)
    }
}
