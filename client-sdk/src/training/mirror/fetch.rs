//! Bringing a version home and verifying it.

use std::sync::Arc;

use sphinx_network::Plan;
use sphinx_optimizer::TrainingRule;
use sphinx_proto::ModelId;
use sphinx_proto::v1::get_model_request::Part;
use sphinx_proto::v1::{OptimizerPart, VersionState, WeightsPart};
use sphinx_secret::{ModelName, RootKey};
use sphinx_wire::parameters::{WEIGHTS_PER_PART, append_weights, optimizer_len, optimizer_state};
use sphinx_wire::state::WeightState;

use super::ModelMirror;
use crate::client::SphinxClient;
use crate::error::{ClientError, StateError};
use crate::stated::StatedVersion;

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
        let stated = StatedVersion::read(&client.trainer, &state)?;
        let tenant = client.tenant.to_string();
        let key = root.read_key(&ModelName { tenant, model: model_id.to_string(), incarnation });
        let own = stated.open(&key, model_id, &spec, &plan)?;
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
        if hashes != (stated.weights, stated.optimizer) {
            return Err(StateError::Weights { model: model_id.to_string(), version }.into());
        }
        let (model_id, plan, key) = (model_id.clone(), Arc::new(plan), Arc::new(key));
        let (previous, chain) = (stated.previous(), stated.chain);
        Ok(Self {
            model_id,
            spec,
            plan,
            key,
            version,
            previous,
            chain,
            incarnation,
            weights,
            state: own,
        })
    }
}

impl SphinxClient {
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
