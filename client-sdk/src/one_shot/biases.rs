//! The biases of a version, encrypted for whoever evaluates it.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use sphinx_network::NetworkSpec;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_proto::v1::{OneShotBiases, PutBiasesRequest};
use sphinx_proto::{KeyId, ModelId};
use sphinx_secret::SecretKey;

use super::OneShot;
use crate::client::SphinxClient;
use crate::error::ClientError;
use crate::recognition::model::OpenedVersion;
use crate::recognition::offload::offload;
use crate::secure_rng;

/// A version of a model as whoever evaluates it may see it: weights, and biases under encryption.
#[derive(Clone)]
pub struct PublicModel {
    /// The model.
    pub model_id: ModelId,
    /// The key that the biases are encrypted under.
    pub key_id: KeyId,
    /// The version.
    pub version: u64,
    /// Which life of the model.
    pub incarnation: Bytes,
    /// The network.
    pub network: NetworkSpec,
    /// By stage, out channel, in channel, row, column.
    pub weights: Vec<Vec<f32>>,
    /// By stage.
    pub biases: Vec<EncryptedBiases>,
}

/// The biases of a stage under encryption: a sample per output channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncryptedBiases {
    /// 16 bytes each: the seed of the mask.
    pub seeds: Bytes,
    /// A word of 6 bytes each.
    pub bodies: Bytes,
}

impl OneShot {
    /// The version that is asked, for an evaluation elsewhere. Its biases are encrypted afresh.
    ///
    /// # Errors
    /// [`ClientError::Task`] only.
    pub async fn public_model(&self) -> Result<PublicModel, ClientError> {
        let opened = &self.model.opened;
        let biases = encrypt(&self.key, opened).await?;
        let OpenedVersion { model_id, key_id, incarnation, version, spec, weights, .. } =
            opened.as_ref();
        Ok(PublicModel {
            model_id: model_id.clone(),
            key_id: key_id.clone(),
            version: *version,
            incarnation: incarnation.clone(),
            network: spec.clone(),
            weights: weights.clone(),
            biases,
        })
    }
}

impl fmt::Debug for PublicModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { model_id, version, .. } = self;
        let mut shown = f.debug_struct("PublicModel");
        shown.field("model_id", model_id).field("version", version).finish_non_exhaustive()
    }
}

/// Encrypts the biases of a version and puts them at the trainer. What lies there is never
/// decrypted.
pub(super) async fn put_biases(
    client: &SphinxClient,
    key: &Arc<SecretKey>,
    opened: &Arc<OpenedVersion>,
) -> Result<(), ClientError> {
    let stages = encrypt(key, opened).await?.into_iter();
    let stages = stages.map(|EncryptedBiases { seeds, bodies }| OneShotBiases { seeds, bodies });
    let request = PutBiasesRequest {
        model_id: opened.model_id.to_string(),
        incarnation: opened.incarnation.clone(),
        version: opened.version,
        stages: stages.collect(),
    };
    let put = |channel| {
        let request = request.clone();
        async move { TrainerClient::new(channel).put_biases(request).await }
    };
    client.trainer.call(put).await.map(drop)
}

async fn encrypt(
    key: &Arc<SecretKey>,
    opened: &Arc<OpenedVersion>,
) -> Result<Vec<EncryptedBiases>, ClientError> {
    let (key, version) = (Arc::clone(key), Arc::clone(opened));
    let encrypt = move || {
        let stages = version.biases.iter().map(|biases| {
            let samples = key.encrypt_biases(biases, &mut secure_rng());
            EncryptedBiases { seeds: samples.seeds.into(), bodies: samples.bodies.into() }
        });
        stages.collect()
    };
    offload(encrypt).await
}
