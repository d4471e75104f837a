//! A model version made ready for recognition: quantised, its weights in the order of both kernels.

use std::sync::Arc;

use sphinx_linalg::{LinearMap, PackedMap, PlainMap};
use sphinx_models::{ModelMeta, ModelVersion, StoredNetwork};
use sphinx_proto::v1::{IntegerStage, Network, VersionState};
use sphinx_proto::{KeyId, ModelId};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, InferenceStage};
use sphinx_wire::masked::MaskedForm;

use crate::error::{InferenceError, ModelFault};

/// A model version in memory.
#[derive(Debug)]
pub(crate) struct LoadedModel {
    pub(crate) model_id: ModelId,
    pub(crate) key_id: KeyId,
    pub(crate) incarnation: [u8; 16],
    pub(crate) version: u64,
    pub(crate) network: Network,
    /// Without whether there are biases for one shot, which changes.
    pub(crate) state: VersionState,
    stages: Vec<Arc<LoadedStage>>,
}

/// One linear layer of a loaded model.
#[derive(Debug)]
pub(crate) struct LoadedStage {
    /// Its weights for ciphertexts modulo 2^64.
    pub(crate) cipher: PackedMap<u64>,
    /// Its weights for masked integers.
    pub(crate) plain: PlainMap,
    pub(crate) modulus_bits: u32,
    /// Row-major `[channel][tap]`; what versions are compared by.
    pub(crate) weights: Vec<i8>,
    input_scale: f64,
    scales: Vec<f64>,
    weight_norm_squared: f64,
}

impl LoadedModel {
    /// Quantises the weights of a version and orders them. About 10 ms for `sphinx-mnist`.
    pub(crate) fn new(meta: &ModelMeta, version: ModelVersion) -> Result<Self, InferenceError> {
        let model_id = meta.model_id.clone();
        let damaged = |cause| InferenceError::DamagedModel { model: meta.model_id.clone(), cause };
        let StoredNetwork { message: network, spec, plan } =
            meta.stored_network().map_err(|fault| damaged(fault.into()))?;
        let (got, expected) = (version.weights.len(), plan.stages.len());
        if got != expected {
            return Err(damaged(ModelFault::StageCount { got, expected }));
        }
        let mut stages = Vec::with_capacity(expected);
        for (index, (stage, weights)) in plan.stages.iter().zip(&version.weights).enumerate() {
            let bits = DEFAULT_ACTIVATION_BITS;
            let quantised = InferenceStage::new(index, stage, weights, spec.bias_bound, bits);
            let quantised = quantised.map_err(|cause| InferenceError::Unquantisable {
                model: model_id.clone(),
                version: version.version,
                cause,
            })?;
            stages.push(Arc::new(LoadedStage::new(quantised)));
        }
        Ok(Self {
            model_id,
            key_id: meta.key_id.clone(),
            incarnation: meta.incarnation,
            version: version.version,
            network,
            state: version.state(false),
            stages,
        })
    }

    /// The stages in order.
    pub(crate) fn stages(&self) -> &[Arc<LoadedStage>] {
        &self.stages
    }

    /// One stage.
    pub(crate) fn stage(&self, index: u32) -> Result<Arc<LoadedStage>, InferenceError> {
        let stage = usize::try_from(index).ok().and_then(|index| self.stages.get(index));
        stage.cloned().ok_or_else(|| InferenceError::Stage {
            model: self.model_id.clone(),
            got: index,
            count: self.stages.len(),
        })
    }

    /// Bytes of memory, without what is small.
    pub(crate) fn bytes(&self) -> usize {
        self.stages.iter().map(|stage| stage.bytes()).sum()
    }
}

impl LoadedStage {
    fn new(quantised: InferenceStage) -> Self {
        let input_scale = f64::from(quantised.input_limit) / quantised.input_bound;
        let InferenceStage { map, weights, scales, modulus_bits, .. } = quantised;
        Self {
            plain: PlainMap::new(&map),
            weight_norm_squared: largest_norm_squared(&map),
            cipher: PackedMap::new(map),
            modulus_bits,
            weights,
            input_scale,
            scales,
        }
    }

    /// Scalars of a sample that enter.
    pub(crate) fn inputs(&self) -> usize {
        self.plain.inputs()
    }

    /// Scalars of a sample that leave.
    pub(crate) fn outputs(&self) -> usize {
        self.plain.outputs()
    }

    /// The form of an online round.
    pub(crate) fn masked(&self) -> MaskedForm {
        let (inputs, outputs) = (self.inputs(), self.outputs());
        MaskedForm { inputs, outputs, modulus_bits: self.modulus_bits }
    }

    fn bytes(&self) -> usize {
        let map = self.cipher.map();
        let places: usize = map
            .groups()
            .iter()
            .map(|group| group.patches.len() * (group.taps + group.rows) * size_of::<u32>())
            .sum();
        // The map's weights as i32, as u64 and as u32, and as bytes.
        places + 4 * self.plain.weight_bytes() + self.weights.len()
    }
}

impl From<&LoadedStage> for IntegerStage {
    fn from(stage: &LoadedStage) -> Self {
        Self {
            // A plan has at most 65 536 rows.
            inputs: stage.inputs() as u32,
            outputs: stage.outputs() as u32,
            modulus_bits: stage.modulus_bits,
            input_scale: stage.input_scale,
            scales: stage.scales.clone(),
            weight_norm_squared: stage.weight_norm_squared,
        }
    }
}

/// The largest sum of squared weights of one output.
fn largest_norm_squared(map: &LinearMap) -> f64 {
    let norm = |weights: &[i32]| weights.iter().map(|&weight| f64::from(weight).powi(2)).sum();
    map.groups()
        .iter()
        .flat_map(|group| group.weights.chunks_exact(group.taps.max(1)).map(norm))
        .fold(0.0, f64::max)
}
