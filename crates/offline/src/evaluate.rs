//! Evaluation of a request by a model and keys that are at hand.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sphinx_bootstrap::{Control, DEFAULT_HALF_RANGE, OneShotModel, OneShotNetwork, PreparedKeys};
use sphinx_evaluation_keys::{EvaluationKeys, OneShotProfile, Query};
use sphinx_linalg::EncryptedBiases;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::Fingerprint;
use sphinx_proto::conversion::required;
use sphinx_proto::v1::{InferOnceRequest, InferOnceResponse, KeyKind, ParameterSet};

use crate::error::OfflineError;
use crate::files::ModelFile;

/// Evaluation keys, expanded: about 0.3 s on two cores, a few milliseconds for those that only
/// pack.
#[derive(Debug)]
pub struct Keys {
    prepared: PreparedKeys,
    fingerprint: String,
}

impl Keys {
    /// From their serialised form, as `sphinx keys new --evaluation` leaves it.
    ///
    /// # Errors
    /// [`OfflineError::Keys`].
    pub fn from_bytes(material: &[u8]) -> Result<Self, OfflineError> {
        let (set, kind) = (ParameterSet::Glwe2048V1, KeyKind::Evaluation);
        let fingerprint = Fingerprint::new(set, kind, material).to_string();
        let prepared = PreparedKeys::new(&EvaluationKeys::from_bytes(material)?);
        Ok(Self { prepared, fingerprint })
    }

    /// The fingerprint, as the key vault shows it.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// A model ready for requests.
#[derive(Debug)]
pub struct Model {
    model: OneShotModel,
    model_id: String,
    key_id: String,
    version: u64,
    incarnation: bytes::Bytes,
}

impl Model {
    /// From a file.
    ///
    /// # Errors
    /// [`OfflineError`] if the file contradicts itself, or the network cannot be evaluated so.
    pub fn new(file: ModelFile) -> Result<Self, OfflineError> {
        let ModelFile { model_id, key_id, version, incarnation, network, weights, biases } = file;
        let spec = NetworkSpec::try_from(required("network", "the model's network", network)?)?;
        let plan = Plan::new(&spec)?;
        let expected = plan.stages.len();
        for (what, got) in [("stages of weights", weights.len()), ("of biases", biases.len())] {
            if got != expected {
                return Err(OfflineError::Count { what, got, expected });
            }
        }
        let weights: Vec<Vec<f32>> = weights.iter().map(|bytes| floats(bytes)).collect();
        let (profile, bound) = (OneShotProfile::default(), spec.bias_bound);
        let network = OneShotNetwork::new(profile, &plan, &weights, bound, DEFAULT_HALF_RANGE)?;
        let mut expanded = Vec::with_capacity(expected);
        for (index, (stage, biases)) in plan.stages.iter().zip(&biases).enumerate() {
            let count = stage.linear.bias_count();
            let biases = EncryptedBiases::from_samples(&biases.seeds, &biases.bodies, count);
            expanded.push(biases.map_err(|cause| OfflineError::Biases { stage: index, cause })?);
        }
        let model = OneShotModel::new(Arc::new(network), &expanded)?;
        Ok(Self { model, model_id, key_id, version, incarnation })
    }

    /// Blind rotations of one recognition.
    pub fn neurons(&self) -> usize {
        self.model.network().neurons()
    }

    /// Encrypted logits. Blocks; parallel on the current pool.
    ///
    /// # Errors
    /// [`OfflineError::Other`] for a request to another model, version or keys;
    /// [`OfflineError::Query`] for one of another size.
    pub fn evaluate(
        &self,
        keys: &Keys,
        request: InferOnceRequest,
    ) -> Result<InferOnceResponse, OfflineError> {
        let InferOnceRequest { model_id, key_id, version, incarnation, fingerprint, seed, bodies } =
            request;
        let text = |incarnation: &[u8]| format!("{incarnation:02x?}");
        let version = version.unwrap_or(self.version).to_string();
        for (field, got, expected, given) in [
            ("model", model_id, self.model_id.clone(), true),
            ("key", key_id, self.key_id.clone(), true),
            ("version", version, self.version.to_string(), true),
            ("incarnation", text(&incarnation), text(&self.incarnation), !incarnation.is_empty()),
            (
                "evaluation keys",
                fingerprint.clone(),
                keys.fingerprint.clone(),
                !fingerprint.is_empty(),
            ),
        ] {
            if given && got != expected {
                return Err(OfflineError::Other { field, got, expected });
            }
        }
        let query = Query::from_parts(&seed, bodies.to_vec(), self.model.network().layout())?;
        let going_on = AtomicBool::new(false);
        let control = Control::new(&going_on, &|_| ());
        let answer = self.model.evaluate(&keys.prepared, &query, &control)?;
        Ok(InferOnceResponse {
            version: self.version,
            mask: answer.mask.into(),
            bodies: answer.bodies.into(),
            logit_scale: answer.scale,
            fingerprint: keys.fingerprint.clone(),
        })
    }
}

/// Little-endian numbers; a rest that is none is left out, and shows as a wrong count.
fn floats(bytes: &[u8]) -> Vec<f32> {
    bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect()
}
