//! The integer form of one model version, as the client needs it.

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use sphinx_features::PublicStem;
use sphinx_linalg::ResultNoise;
use sphinx_network::{NetworkSpec, Plan, Stage, Step};
use sphinx_proto::v1::{DescribeModelResponse, IntegerStage};
use sphinx_proto::{KeyId, ModelId};
use sphinx_quantise::{MAX_MODULUS_BITS, weight_norm_squared_limit};
use sphinx_wire::masked::MaskedForm;
use sphinx_wire::rows::TICKET_ROWS;
use zeroize::Zeroizing;

use crate::connection::Connection;
use crate::error::{ClientError, RecognitionError};

/// Standard deviations of noise that must fit into half a step.
const NEEDED_DEVIATIONS: f64 = 6.0;
/// Largest integer activation that is still exact; int8 weights make no use of more.
const MAX_INPUT_LIMIT: f64 = (1u64 << 30) as f64;

/// Biases at the scale of a stage's sums, modulo 2^32. `Debug` shows nothing of them; wiped on
/// drop.
#[derive(Default)]
pub(crate) struct KnownBiases(OnceLock<Zeroizing<Vec<u32>>>);

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
    pub(crate) stages: Vec<IntegerLayer>,
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
    /// Of this version, once a preparation or a repair has brought them.
    pub(crate) biases: KnownBiases,
    /// Largest noise that a ticket's phase can have; more means that it was made with another key.
    pub(crate) noise_limit: u64,
    /// Integers per unit of result, one per output channel.
    pub(crate) scales: Vec<f64>,
    pub(crate) rows_per_channel: usize,
    pub(crate) steps: Vec<Step>,
    input_scale: f64,
    input_limit: f64,
}

impl KnownBiases {
    pub(crate) fn get(&self) -> Option<&[u32]> {
        self.0.get().map(|biases| biases.as_slice())
    }

    /// Versions never change, so later ones are the same.
    pub(crate) fn learn(&self, biases: &[u32]) -> &[u32] {
        self.0.get_or_init(|| Zeroizing::new(biases.to_vec()))
    }
}

impl fmt::Debug for KnownBiases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KnownBiases(..)")
    }
}

impl IntegerModel {
    /// Checks a description.
    pub(crate) fn new(
        described: DescribeModelResponse,
        service: &Connection,
    ) -> Result<Self, ClientError> {
        let network =
            described.network.ok_or_else(|| service.protocol("no network", "a network"))?;
        let spec = NetworkSpec::try_from(network)?;
        let plan = Plan::new(&spec)?;
        let (got, expected) = (described.stages.len(), plan.stages.len());
        if got != expected {
            let expected = format_args!("{expected} stages");
            return Err(service.protocol(format_args!("{got} stages"), expected));
        }
        let pairs = described.stages.into_iter().zip(&plan.stages).enumerate();
        let stages = pairs
            .map(|(index, (integer, stage))| IntegerLayer::new(index, integer, stage, service))
            .collect::<Result<_, _>>()?;
        Ok(Self {
            model_id: ModelId::parse(described.model_id)?,
            key_id: KeyId::parse(described.key_id)?,
            incarnation: described.incarnation,
            version: described.version,
            spec,
            stem: PublicStem::new(&plan)?,
            plan,
            stages,
        })
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
        integer: IntegerStage,
        stage: &Stage,
        service: &Connection,
    ) -> Result<Self, ClientError> {
        let IntegerStage { inputs, outputs, modulus_bits, input_scale, scales, .. } = integer;
        let (inputs, outputs, channels) = (inputs as usize, outputs as usize, scales.len());
        let input_limit = (input_scale * f64::from(stage.input_bound)).round();
        let positive = |value: &f64| value.is_finite() && *value > 0.0;
        let norm_squared = integer.weight_norm_squared;
        let sound = (inputs, outputs) == (stage.input.len(), stage.output.len())
            && channels == stage.linear.bias_count()
            && (1..=MAX_MODULUS_BITS).contains(&modulus_bits)
            && scales.iter().all(positive)
            && (1.0..=MAX_INPUT_LIMIT).contains(&input_limit)
            && norm_squared.is_finite()
            && norm_squared >= 0.0;
        if !sound {
            let got = format!(
                "stage {index} with {inputs} inputs, {outputs} outputs, {channels} scales, modulus 2^{modulus_bits}, \
                 {input_scale} integers per unit, squared norm {norm_squared}"
            );
            return Err(service.protocol(got, "an integer form of the network's stage"));
        }
        let ticket_bits = ticket_bits(stage, modulus_bits);
        Ok(Self {
            inputs,
            outputs,
            modulus_bits,
            ticket_bits,
            biases: KnownBiases::default(),
            noise_limit: noise_limit(index, ticket_bits, norm_squared)?,
            rows_per_channel: outputs / channels,
            scales,
            steps: stage.steps.clone(),
            input_scale,
            input_limit,
        })
    }

    /// The form of an online round.
    pub(crate) fn masked(&self) -> MaskedForm {
        let Self { inputs, outputs, modulus_bits, .. } = *self;
        MaskedForm { inputs, outputs, modulus_bits }
    }

    /// The activations as integers less the mask, modulo 2^t (in the low t bits of `words`).
    ///
    /// The integers are those of `InferenceStage::encode`.
    pub(crate) fn mask(&self, activations: &[f32], mask: &[u32], words: &mut [u32]) {
        for ((word, &a), &r) in words.iter_mut().zip(activations).zip(mask) {
            let scaled = (f64::from(a) * self.input_scale).round();
            let integer = scaled.clamp(-self.input_limit, self.input_limit) as i32;
            *word = integer.cast_unsigned().wrapping_sub(r);
        }
    }

    /// The results that W (x - r) and u = W r + b stand for, in units.
    pub(crate) fn unmask(&self, masked: &[u32], answers: &[u32]) -> Vec<f32> {
        let unused = 32 - self.modulus_bits;
        let rows = masked.chunks(self.rows_per_channel).zip(answers.chunks(self.rows_per_channel));
        let channels = rows.zip(&self.scales);
        let mut values = Vec::with_capacity(self.outputs);
        for ((masked, answers), scale) in channels {
            values.extend(masked.iter().zip(answers).map(|(&masked, &answer)| {
                let sum = masked.wrapping_add(answer);
                // The representative in [-2^(t-1), 2^(t-1)).
                let sum = (sum << unused).cast_signed() >> unused;
                (f64::from(sum) / scale) as f32
            }));
        }
        values
    }
}

/// The widest modulus whose steps the noise of no version of the stage can spoil; at least that of
/// the version.
fn ticket_bits(stage: &Stage, modulus_bits: u32) -> u32 {
    let limit = weight_norm_squared_limit(stage);
    let exact = |bits: &u32| noise_limit(0, *bits, limit).is_ok();
    (modulus_bits..=MAX_MODULUS_BITS).rev().find(exact).unwrap_or(modulus_bits)
}

/// Checks that noise cannot reach half a step, and how large it can be at all.
fn noise_limit(
    stage: usize,
    modulus_bits: u32,
    norm_squared: f64,
) -> Result<u64, RecognitionError> {
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
    // Two more deviations, for keys with more ones than the expectation that the prediction uses.
    let possible = (NEEDED_DEVIATIONS + 2.0) * noise.standard_deviation();
    Ok(half_step.min(possible as u64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_of_int8_weights_fits_the_moduli_they_need() {
        // 400 taps of ±127 need 31 bits at 11-bit activations.
        assert!(noise_limit(0, 31, 400.0 * 127.0 * 127.0).is_ok());
    }

    /// 576 folded taps of the second convolution, and 784 pixels, fit no 32 bits if all weights
    /// were ±127, but they need no more than 30.
    #[test]
    fn tickets_have_room_for_every_version() {
        for (name, expected) in
            [("sphinx-mnist", [32, 31, 32, 32].as_slice()), ("mlp-100", &[31, 32])]
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
        let known = KnownBiases::default();
        assert_eq!(known.learn(&[77, 88]), [77, 88]);
        assert_eq!(
            (known.get(), known.learn(&[1])),
            (Some([77, 88].as_slice()), [77, 88].as_slice())
        );
        assert_eq!(format!("{known:?}"), "KnownBiases(..)");
    }

    #[test]
    fn rejects_moduli_that_noise_can_spoil() {
        let error = noise_limit(3, 32, 1e9).unwrap_err();
        assert!(
            matches!(error, RecognitionError::Precision { stage: 3, modulus_bits: 32, deviations, .. } if deviations < 6.0)
        );
    }
}
