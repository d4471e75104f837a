//! Model versions made ready for one-shot recognition.

use std::sync::Arc;

use bytes::Bytes;
use prost::Message;
use sphinx_bootstrap::{DEFAULT_HALF_RANGE, OneShotModel, OneShotNetwork};
use sphinx_evaluation_keys::OneShotProfile;
use sphinx_linalg::{EncryptedBiases, POLYNOMIAL_SIZE};
use sphinx_models::{ModelMeta, ModelStore, ModelVersion, StoredModel, StoredNetwork};
use sphinx_network::Plan;
use sphinx_proto::v1::PutBiasesRequest;
use sphinx_proto::{KeyId, ModelId, TenantId};
use sphinx_runtime::{ByteCache, Compute, Metrics};

use crate::error::{InferenceError, ModelFault};
use crate::models::VersionId;

/// Prepared model versions. Clones share them.
#[derive(Debug, Clone)]
pub(crate) struct OneShotModels {
    store: ModelStore,
    compute: Compute,
    prepared: ByteCache<Inputs, Prepared>,
}

/// A model as the store has it now, and the version of it that a request means.
#[derive(Debug)]
pub(crate) struct FoundModel {
    meta: ModelMeta,
    pub(crate) version: u64,
}

/// What a prepared model is made of. The biases of a version are replaced by another upload.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Inputs {
    version: VersionId,
    /// A few kilobytes.
    biases: Bytes,
}

#[derive(Debug)]
struct Prepared {
    model: Arc<OneShotModel>,
    bytes: usize,
}

impl OneShotModels {
    /// Models of a store, at most `max_bytes` of them in memory besides those in use.
    pub(crate) fn new(store: ModelStore, compute: Compute, max_bytes: u64) -> Self {
        let prepared = ByteCache::new(max_bytes, |prepared: &Prepared| prepared.bytes);
        Self { store, compute, prepared }
    }

    /// Shows how the memory of models stands.
    pub(crate) fn watched(self, metrics: &Metrics) -> Self {
        Self { prepared: self.prepared.watched(metrics, "one_shot_models"), ..self }
    }

    /// The model of a request, if it is there, of this incarnation (unless empty) and under this
    /// key.
    pub(crate) async fn find(
        &self,
        tenant: &TenantId,
        model_id: &ModelId,
        version: Option<u64>,
        incarnation: &[u8],
        key_id: &KeyId,
    ) -> Result<FoundModel, InferenceError> {
        let StoredModel { meta, head, .. } = self.store.get(tenant, model_id).await?;
        if !incarnation.is_empty() && incarnation != meta.incarnation.as_slice() {
            return Err(InferenceError::OtherIncarnation { model: meta.model_id });
        }
        if meta.key_id != *key_id {
            let (model, expected) = (meta.model_id, meta.key_id);
            return Err(InferenceError::OtherKey { model, got: key_id.clone(), expected });
        }
        Ok(FoundModel { version: version.unwrap_or(head), meta })
    }

    /// The prepared form: from memory, or loaded and transformed once, while further requests wait
    /// for the same.
    pub(crate) async fn prepared(
        &self,
        model: &FoundModel,
    ) -> Result<Arc<OneShotModel>, InferenceError> {
        let version = VersionId {
            tenant: model.meta.tenant.clone(),
            model_id: model.meta.model_id.clone(),
            incarnation: model.meta.incarnation,
            version: model.version,
        };
        let biases = self.store.biases(&model.meta, model.version).await?;
        let missing =
            InferenceError::NoBiases { model: model.meta.model_id.clone(), version: model.version };
        let Some(biases) = biases else {
            // A version that is not kept has none either.
            self.store.load(&model.meta, Some(model.version)).await?;
            return Err(missing);
        };
        let inputs = Inputs { version, biases: biases.clone() };
        let prepared = self.prepared.get_or_make(inputs, self.prepare(model, biases)).await?;
        Ok(Arc::clone(&prepared.model))
    }

    async fn prepare(&self, model: &FoundModel, biases: Bytes) -> Result<Prepared, InferenceError> {
        let begun = std::time::Instant::now();
        let (meta, version) = (model.meta.clone(), model.version);
        let loaded = self.store.load(&meta, Some(version)).await?;
        let prepared = self.compute.run(move || prepare(&meta, loaded, &biases)).await??;
        let (bytes, millis) = (prepared.bytes, begun.elapsed().as_millis());
        tracing::info!(model = %model.meta.model_id, version, bytes, millis, "one-shot model loaded");
        Ok(prepared)
    }
}

fn prepare(
    meta: &ModelMeta,
    version: ModelVersion,
    biases: &[u8],
) -> Result<Prepared, InferenceError> {
    let damaged = |cause| InferenceError::DamagedModel { model: meta.model_id.clone(), cause };
    let StoredNetwork { spec, plan, .. } =
        meta.stored_network().map_err(|fault| damaged(fault.into()))?;
    let (got, expected) = (version.weights.len(), plan.stages.len());
    if got != expected {
        return Err(damaged(ModelFault::StageCount { got, expected }));
    }
    let unfit = |cause| InferenceError::NotOneShot {
        model: meta.model_id.clone(),
        version: version.version,
        cause,
    };
    let profile = OneShotProfile::default();
    let (bound, range) = (spec.bias_bound, DEFAULT_HALF_RANGE);
    // First of all, since it refuses networks that are too large.
    let network =
        OneShotNetwork::new(profile, &plan, &version.weights, bound, range).map_err(unfit)?;
    let mut expanded = Vec::with_capacity(expected);
    let biases = PutBiasesRequest::decode(biases).map_err(|_| damaged(ModelFault::BiasRecord))?;
    let got = biases.stages.len();
    if got != expected {
        return Err(damaged(ModelFault::BiasStages { got, expected }));
    }
    for (index, (stage, biases)) in plan.stages.iter().zip(&biases.stages).enumerate() {
        let count = stage.linear.bias_count();
        let biases = EncryptedBiases::from_samples(&biases.seeds, &biases.bodies, count)
            .map_err(|cause| damaged(ModelFault::Biases { stage: index, cause }))?;
        expanded.push(biases);
    }
    let model = Arc::new(OneShotModel::new(Arc::new(network), &expanded)?);
    let ciphertexts = model.network().layout().ciphertexts();
    let bytes = model.bytes() + transformed_bytes(&plan, ciphertexts);
    Ok(Prepared { model, bytes })
}

/// Bytes of the weights: the first layer's as transformed polynomials, one per channel and
/// ciphertext, later ones as
/// pairs of places and integers.
fn transformed_bytes(plan: &Plan, ciphertexts: usize) -> usize {
    let later = plan.stages.iter().skip(1).map(|stage| {
        let per_output = stage.linear.weight_count() / stage.linear.bias_count().max(1);
        16 * per_output * stage.output.len()
    });
    let channels = plan.stages.first().map_or(0, |stage| stage.linear.bias_count());
    channels * (ciphertexts + 1) * POLYNOMIAL_SIZE * size_of::<u64>() + later.sum::<usize>()
}
