//! The integer form of one model version, as the client needs it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sphinx_data::Pipeline;
use sphinx_features::PublicStem;
use sphinx_linalg::{LinearMap, ResultNoise};
use sphinx_network::{NetworkSpec, Plan, Stage, Step};
use sphinx_proto::{KeyId, ModelId};
use sphinx_quantise::{
    DEFAULT_ACTIVATION_BITS, InferenceStage, MAX_MODULUS_BITS, quantised_bias,
    weight_norm_squared_limit,
};
use sphinx_secret::ReadKey;
use sphinx_wire::masked::MaskedForm;
use sphinx_wire::rows::TICKET_ROWS;
use zeroize::Zeroizing;

use crate::error::{ClientError, RecognitionError};
use crate::recognition::check::LayerCheck;
use crate::recognition::guard::Guard;

/// Standard deviations of noise that must fit into half a step: a ticket that noise has spoilt
/// would be taken for a wrong answer, which is final.
const NEEDED_DEVIATIONS: f64 = 9.0;

/// Biases of a stage per output channel at the scale of its sums, modulo 2^32. `Debug` shows
/// nothing of them; wiped on drop.
pub(crate) struct LayerBiases(Zeroizing<Vec<u32>>);

/// A version of a model as its owner left it: what everything else is made of.
pub(crate) struct OpenedVersion {
    pub model_id: ModelId,
    pub key_id: KeyId,
    pub incarnation: Bytes,
    pub version: u64,
    pub spec: NetworkSpec,
    pub plan: Plan,
    /// By stage.
    pub weights: Vec<Vec<f32>>,
    /// By stage.
    pub biases: Vec<Zeroizing<Vec<f32>>>,
    pub pipeline: Option<Pipeline>,
}

/// A model version as tickets and queries see it.
#[derive(Debug)]
pub(crate) struct IntegerModel {
    pub(crate) model_id: ModelId,
    pub(crate) key_id: KeyId,
    pub(crate) incarnation: Bytes,
    pub(crate) version: u64,
    pub(crate) spec: NetworkSpec,
    pub(crate) plan: Plan,
    pub(crate) stem: PublicStem,
    /// As its owner left it.
    pub(crate) pipeline: Option<Pipeline>,
    pub(crate) stages: Vec<IntegerLayer>,
    pub(crate) guard: Arc<Guard>,
}

/// One stage: how activations become integers and sums become activations.
#[derive(Debug)]
pub(crate) struct IntegerLayer {
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Bits `t` of the modulus of queries; it depends on the version.
    pub(crate) modulus_bits: u32,
    /// Bits of the modulus that r and u of tickets are made and kept with, at least `modulus_bits`.
    /// Wider than needed, and the same for all versions, so that a ticket can be repaired for a
    /// version whose sums need more bits.
    pub(crate) ticket_bits: u32,
    pub(crate) biases: LayerBiases,
    /// Integers per unit of result, one per output channel.
    pub(crate) scales: Vec<f64>,
    pub(crate) rows_per_channel: usize,
    pub(crate) steps: Vec<Step>,
    pub(crate) check: LayerCheck,
    pub(crate) input_scale: f64,
    /// Largest sum of squared weights of one result.
    pub(crate) weight_norm_squared: f64,
    input_limit: f64,
}

impl LayerBiases {
    /// One per output channel.
    pub(crate) fn words(&self) -> &[u32] {
        &self.0
    }
}

impl fmt::Debug for LayerBiases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LayerBiases(..)")
    }
}

impl IntegerModel {
    /// Makes the integers of a version, and what its products are checked with, all from what its
    /// owner left. About 15 ms for `sphinx-mnist`.
    ///
    /// # Errors
    /// [`RecognitionError::Quantisation`] for weights that cannot be quantised,
    /// [`RecognitionError::Precision`] if tickets could not be exact.
    pub(crate) fn new(
        opened: OpenedVersion,
        read_key: &ReadKey,
        guard: Arc<Guard>,
    ) -> Result<Self, ClientError> {
        let OpenedVersion { model_id, key_id, incarnation, version, spec, plan, .. } = opened;
        let parameters = opened.weights.iter().zip(&opened.biases);
        let mut stages = Vec::with_capacity(plan.stages.len());
        for (index, (stage, (weights, biases))) in plan.stages.iter().zip(parameters).enumerate() {
            let bits = DEFAULT_ACTIVATION_BITS;
            let quantised = InferenceStage::new(index, stage, weights, spec.bias_bound, bits);
            let quantised = quantised.map_err(RecognitionError::from)?;
            let challenge = read_key.challenge(version, index as u32, quantised.map.outputs());
            stages.push(IntegerLayer::new(index, stage, quantised, biases, &challenge)?);
        }
        let stem = PublicStem::new(&plan)?;
        let pipeline = opened.pipeline;
        Ok(Self {
            model_id,
            key_id,
            incarnation,
            version,
            spec,
            plan,
            stem,
            pipeline,
            stages,
            guard,
        })
    }

    /// A product of a stage was wrong: the end of everything for this model. Blocks for some
    /// milliseconds.
    pub(crate) fn reject(&self, stage: usize) -> ClientError {
        let named = (&self.model_id, &self.key_id, &*self.incarnation);
        self.guard.reject(named, self.version, stage, "recognition")
    }

    /// Why tickets of this model version are no use to another model.
    pub(crate) fn foreign_to(&self, other: &Self) -> RecognitionError {
        let name = |model: &Self| format!("{} at version {}", model.model_id, model.version);
        RecognitionError::ForeignTicket { got: name(self), expected: name(other) }
    }

    /// Whether both are versions of the same model.
    pub(crate) fn same_model(&self, other: &Self) -> bool {
        (&self.model_id, &self.key_id, &self.incarnation)
            == (&other.model_id, &other.key_id, &other.incarnation)
    }
}

impl IntegerLayer {
    fn new(
        index: usize,
        stage: &Stage,
        quantised: InferenceStage,
        biases: &[f32],
        challenge: &[u64],
    ) -> Result<Self, RecognitionError> {
        let weight_norm_squared = largest_norm_squared(&quantised.map);
        let scaled = biases.iter().zip(&quantised.scales);
        let biases: Zeroizing<Vec<i64>> =
            Zeroizing::new(scaled.map(|(&bias, &scale)| quantised_bias(bias, scale)).collect());
        let check = LayerCheck::new(&quantised.map, challenge, &biases);
        let InferenceStage { map, scales, rows_per_channel, modulus_bits, input_limit, .. } =
            quantised;
        let ticket_bits = ticket_bits(stage, modulus_bits);
        check_precision(index, ticket_bits, weight_norm_squared)?;
        Ok(Self {
            inputs: map.inputs(),
            outputs: map.outputs(),
            modulus_bits,
            ticket_bits,
            biases: LayerBiases(Zeroizing::new(biases.iter().map(|&bias| bias as u32).collect())),
            scales,
            rows_per_channel,
            steps: stage.steps.clone(),
            check,
            input_scale: f64::from(input_limit) / quantised.input_bound,
            weight_norm_squared,
            input_limit: f64::from(input_limit),
        })
    }

    /// The form of an online round.
    pub(crate) fn masked(&self) -> MaskedForm {
        let Self { inputs, outputs, modulus_bits, .. } = *self;
        MaskedForm { inputs, outputs, modulus_bits }
    }

    /// The activations as integers, those of `InferenceStage::encode`.
    pub(crate) fn encode(&self, activations: &[f32], integers: &mut [i32]) {
        for (integer, &a) in integers.iter_mut().zip(activations) {
            let scaled = (f64::from(a) * self.input_scale).round();
            *integer = scaled.clamp(-self.input_limit, self.input_limit) as i32;
        }
    }

    /// The sums W x + b over the integers, from W (x - r) and u = W r + b: the representatives in
    /// [-2^(t-1), 2^(t-1)), which they are known to be.
    pub(crate) fn unmask(&self, masked: &[u32], answers: &[u32], sums: &mut [i32]) {
        let unused = 32 - self.modulus_bits;
        for (sum, (&masked, &answer)) in sums.iter_mut().zip(masked.iter().zip(answers)) {
            *sum = (masked.wrapping_add(answer) << unused).cast_signed() >> unused;
        }
    }

    /// What sums stand for, in units.
    pub(crate) fn decode(&self, sums: &[i32]) -> Vec<f32> {
        let channels = sums.chunks(self.rows_per_channel).zip(&self.scales);
        let values = channels
            .flat_map(|(sums, scale)| sums.iter().map(move |&sum| (f64::from(sum) / scale) as f32));
        values.collect()
    }
}

/// The largest sum of squared weights of one result.
fn largest_norm_squared(map: &LinearMap) -> f64 {
    let norm = |weights: &[i32]| weights.iter().map(|&weight| f64::from(weight).powi(2)).sum();
    let groups = map.groups().iter();
    groups
        .flat_map(|group| group.weights.chunks_exact(group.taps.max(1)).map(norm))
        .fold(0.0, f64::max)
}

/// The widest modulus whose steps the noise of no version of the stage can spoil; at least that of
/// the version.
fn ticket_bits(stage: &Stage, modulus_bits: u32) -> u32 {
    let limit = weight_norm_squared_limit(stage);
    let exact = |bits: &u32| check_precision(0, *bits, limit).is_ok();
    (modulus_bits..=MAX_MODULUS_BITS).rev().find(exact).unwrap_or(modulus_bits)
}

/// Checks that noise cannot reach half a step.
fn check_precision(
    stage: usize,
    modulus_bits: u32,
    norm_squared: f64,
) -> Result<(), RecognitionError> {
    let noise = ResultNoise::new::<u64>(
        norm_squared,
        TICKET_ROWS.upload,
        TICKET_ROWS.mask,
        TICKET_ROWS.body,
    );
    let half_step = 1u64 << (63 - modulus_bits);
    let deviations = half_step as f64 / noise.standard_deviation();
    if deviations < NEEDED_DEVIATIONS {
        let needed = NEEDED_DEVIATIONS;
        return Err(RecognitionError::Precision { stage, modulus_bits, deviations, needed });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_int8_weights_fits_the_moduli_they_need() {
        // 400 taps of ±127 need 31 bits at 11-bit activations.
        assert!(check_precision(0, 31, 400.0 * 127.0 * 127.0).is_ok());
    }

    /// 576 folded taps of the second convolution, and 784 pixels, fit no 32 bits if all weights
    /// were ±127, but they need no more than 30.
    #[test]
    fn tickets_have_room_for_every_version() {
        for (name, expected) in
            [("sphinx-mnist", [32, 31, 31, 31].as_slice()), ("mlp-100", &[30, 31])]
        {
            let plan = Plan::new(&NetworkSpec::builtin(name).unwrap()).unwrap();
            let bits: Vec<u32> = plan.stages.iter().map(|stage| ticket_bits(stage, 24)).collect();
            assert_eq!(bits, expected, "{name}");
            assert!(plan.stages.iter().all(|stage| ticket_bits(stage, 32) == 32));
            for (stage, bits) in plan.stages.iter().zip(bits) {
                let taps = weight_norm_squared_limit(stage) / (127.0 * 127.0);
                // Activations of 11 bits, and biases below 2^28.
                let largest = taps * 127.0 * 2048.0 + f64::from(1 << 28);
                let needed = largest.log2().ceil() as u32 + 1;
                assert!(needed <= bits, "{name}: a version may need {needed} bits of {bits}");
            }
        }
    }

    #[test]
    fn debug_shows_no_biases() {
        let biases = LayerBiases(Zeroizing::new(vec![77, 88]));
        assert_eq!(format!("{biases:?}"), "LayerBiases(..)");
    }

    #[test]
    fn rejects_moduli_that_noise_can_spoil() {
        let error = check_precision(3, 32, 1e9).unwrap_err();
        assert!(
            matches!(error, RecognitionError::Precision { stage: 3, modulus_bits: 32, deviations, .. } if deviations < 9.0)
        );
    }
}
