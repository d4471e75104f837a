//! A model under another key.

use sphinx_proto::KeyId;
use sphinx_proto::v1::RotateKeyRequest;
use sphinx_proto::v1::trainer_client::TrainerClient;
use sphinx_secret::RootKey;
use sphinx_wire::state::{Binding, Hash, Link, gradient_sha256, network_sha256, sealed_sha256};

use super::ModelMirror;
use crate::client::SphinxClient;
use crate::error::ClientError;

/// The version that a model has under its new key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rotated {
    pub version: u64,
    pub chain: Hash,
}

impl ModelMirror {
    /// Seals this version anew under another key and makes it the model's: its biases and the state
    /// of its training as they are, its weights untouched.
    ///
    /// # Errors
    /// [`ChannelError::Refused`](crate::ChannelError::Refused) with ABORTED if the model moved on
    /// meanwhile, FAILED_PRECONDITION if the key is not registered or was revoked.
    pub async fn rotate(
        &self,
        client: &SphinxClient,
        key_id: &KeyId,
        root: &RootKey,
    ) -> Result<Rotated, ClientError> {
        let weights = self.weights.weights_sha256();
        let binding = Binding {
            incarnation: self.incarnation,
            version: self.version + 1,
            previous: self.chain,
            network: network_sha256(&self.spec),
            weights,
            optimizer: self.weights.optimizer_sha256(),
        };
        let key = root.read_key(self.key.model());
        let sealed = self.state.seal(&key, &self.model_id, &binding);
        let gradient = gradient_sha256(&[]);
        let sealed_hash = sealed_sha256(&sealed);
        let link = Link { previous: self.chain, gradient, weights, sealed: sealed_hash };
        let chain = link.chain();
        let request = RotateKeyRequest {
            model_id: self.model_id.to_string(),
            incarnation: self.incarnation.to_vec().into(),
            base_version: self.version,
            key_id: key_id.to_string(),
            sealed: sealed.into(),
            chain: chain.to_vec().into(),
        };
        let rotate = |channel| {
            let request = request.clone();
            async move { TrainerClient::new(channel).rotate_key(request).await }
        };
        client.trainer.call(rotate).await?;
        Ok(Rotated { version: self.version + 1, chain })
    }
}
