//! What a client mirrors of a model: weights, their update rule and the chain, computed by itself.

use prost::Message;
use prost::bytes::Bytes;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_optimizer::TrainingRule;
use sphinx_proto::v1::{
    Commit, GetModelRequest, GetModelResponse, OpenSession, Optimizer, OptimizerPart, StepRates,
    VersionState, WeightsPart, get_model_request::Part, trainer_client::TrainerClient,
};
use sphinx_wire::parameters::optimizer_state;
use sphinx_wire::state::{Hash, Link, WeightState, gradient_sha256, hash_from, sealed_sha256};
use sphinx_wire::training::{Form, Geometries, StageIntegers, working_sha256};
use tonic::transport::Channel;

use crate::common::network;

/// A version of the model `m` in a session.
#[derive(Clone)]
pub struct Mirror {
    pub version: u64,
    pub chain: Hash,
    pub weights: WeightState,
    open: OpenSession,
}

/// The client's half of the state. Here it is the rule that left the version, and a byte that tells
/// updates apart; the trainer cannot know.
pub fn sealed_state(open: &OpenSession, tag: u8) -> Bytes {
    let mut bytes = vec![tag];
    bytes.extend(open.optimizer.unwrap().encode_to_vec());
    bytes.into()
}

/// Scalars of a part.
pub fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|value| f32::from_le_bytes(*value)).collect()
}

/// A part of a version of the model `m`.
pub async fn part_of(
    client: &mut TrainerClient<Channel>,
    version: u64,
    part: Option<Part>,
) -> GetModelResponse {
    let request = GetModelRequest { model_id: "m".to_owned(), part, version: Some(version) };
    client.get_model(request).await.unwrap().into_inner()
}

/// The plan of the network of `m`.
fn plan() -> Plan {
    Plan::new(&NetworkSpec::try_from(network()).unwrap()).unwrap()
}

impl Mirror {
    /// Fetches weights and optimiser part by part, and believes them because of their hashes.
    pub async fn fetch(
        client: &mut TrainerClient<Channel>,
        open: &OpenSession,
        state: &VersionState,
    ) -> Self {
        let (mut weights, mut vectors) = (Vec::new(), Vec::new());
        for stage in 0..2 {
            let (offset, count) = (0, 1000);
            let part = Part::Weights(WeightsPart { stage, offset, count });
            weights.push(floats(&part_of(client, state.version, Some(part)).await.weights));
            let part = Part::Optimizer(OptimizerPart { stage, offset, count });
            vectors.push(floats(&part_of(client, state.version, Some(part)).await.optimizer));
        }
        let rule = state.sealed.get(1..).map(|rule| {
            let rule = TrainingRule::try_from(Optimizer::decode(rule).unwrap()).unwrap();
            let counts = (state.optimizer_steps, state.averaged_steps);
            optimizer_state(rule, counts, vectors, &weights).unwrap()
        });
        let stored = WeightState { weights, rule };
        assert_eq!(stored.weights_sha256()[..], state.weights_sha256);
        assert_eq!(stored.optimizer_sha256()[..], state.optimizer_sha256);
        let rule = TrainingRule::try_from(open.optimizer.unwrap()).unwrap();
        let within = state.session_id == open.session_id;
        Self {
            version: state.version,
            chain: hash_from(&state.chain).unwrap(),
            weights: stored.opened(rule, within).unwrap(),
            open: open.clone(),
        }
    }

    /// The integers that the trainer must compute with.
    pub fn integers(&self) -> Vec<StageIntegers> {
        Geometries::new(plan(), Form::default(), 4.0).lower(&self.weights.weights).unwrap()
    }

    /// H of them, as `opened` states it.
    pub fn working_sha256(&self) -> Hash {
        working_sha256(&self.integers(), &self.weights.optimizer_sha256())
    }

    /// The header of a step along `gradient`, and the mirror after it. A gradient that cannot be
    /// stepped along has a header all the same.
    pub fn step(
        &self,
        step: u64,
        base: u64,
        gradient: &[Vec<f32>],
        sealed: &[u8],
    ) -> (Commit, Self) {
        let rates = self.weights.rule.as_ref().unwrap().rates(step);
        let mut next = self.clone();
        // The trainer says so, too.
        let _ = next.weights.step(&rates, gradient);
        let rates = StepRates {
            learning_rate: rates.learning_rate,
            first_correction: rates.first_correction,
            second_correction: rates.second_correction,
        };
        let header = Commit { step, base_version: base, rates: Some(rates), ..Commit::default() };
        next.linked(header, gradient, sealed)
    }

    /// The header of the adoption of the averages, and the mirror after it.
    pub fn adoption(&self, step: u64, base: u64, sealed: &[u8]) -> (Commit, Self) {
        let mut next = self.clone();
        // Where none are kept the trainer says so.
        let _ = next.weights.adopt();
        let header = Commit { step, base_version: base, adopt_average: true, ..Commit::default() };
        next.linked(header, &[], sealed)
    }

    fn linked(mut self, header: Commit, gradient: &[Vec<f32>], sealed: &[u8]) -> (Commit, Self) {
        let link = Link {
            previous: self.chain,
            gradient: gradient_sha256(gradient),
            weights: self.weights.weights_sha256(),
            sealed: sealed_sha256(sealed),
        };
        self.chain = link.chain();
        self.version += 1;
        (Commit { chain: self.chain.to_vec().into(), ..header }, self)
    }

    /// The session's opening.
    pub fn opening(&self) -> &OpenSession {
        &self.open
    }
}
