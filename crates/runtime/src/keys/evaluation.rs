//! Evaluation keys: asked for at every request, and fetched as material.

use sphinx_proto::{
    Fingerprint, KeyId, TenantId,
    conversion::parameter_set,
    v1::{FetchKeyRequest, Key, KeyKind, fetch_key_response::Part},
};
use tonic::{Code, Status};

use crate::keys::{KeyDirectory, KeyError, of_tenant};

impl KeyDirectory {
    /// The evaluation keys registered under an id, as of now: a removal counts from the next request on. One small round
    /// trip.
    ///
    /// # Errors
    /// [`KeyError::NoEvaluation`] (FAILED_PRECONDITION), [`KeyError::Unreachable`] (UNAVAILABLE) or [`KeyError::Answer`]
    /// (INTERNAL).
    pub async fn evaluation(&self, tenant: &TenantId, key_id: &KeyId) -> Result<Key, KeyError> {
        let asked = self.patiently(|| self.ask(tenant, key_id, KeyKind::Evaluation)).await?;
        asked.ok_or_else(|| no_evaluation(tenant, key_id))
    }

    /// The material of `key`, at most `limit` bytes. Held in memory as a whole.
    ///
    /// # Errors
    /// As [`KeyDirectory::evaluation`], and [`KeyError::Answer`] for more bytes than were announced.
    pub async fn fetch_evaluation(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        key: &Key,
        limit: usize,
    ) -> Result<Vec<u8>, KeyError> {
        let fetched = self.patiently(|| self.fetch(tenant, key_id, key, limit)).await?;
        fetched.ok_or_else(|| no_evaluation(tenant, key_id))
    }

    /// Whether `material` has the fingerprint of `key`. Some 10 ms for 20 MB: not for asynchronous threads.
    ///
    /// # Errors
    /// [`KeyError::Material`], or [`KeyError::Answer`] for a parameter set that there is not.
    pub fn verify(&self, key: &Key, material: &[u8]) -> Result<(), KeyError> {
        let set = parameter_set(key.parameter_set)
            .map_err(|error| self.answer(Code::Internal, &error.to_string()))?;
        let got = Fingerprint::new(set, KeyKind::Evaluation, material).to_string();
        if got == key.fingerprint {
            return Ok(());
        }
        let (address, expected) = (self.address.to_string(), key.fingerprint.clone());
        Err(KeyError::Material { address, got, expected })
    }

    async fn fetch(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        key: &Key,
        limit: usize,
    ) -> Result<Vec<u8>, Status> {
        let message = FetchKeyRequest {
            key_id: key_id.to_string(),
            kind: KeyKind::Evaluation.into(),
            fingerprint: key.fingerprint.clone(),
        };
        let mut client = self.client.clone();
        let mut parts = client.fetch_key(of_tenant(tenant, message)?).await?.into_inner();
        let mut material = Vec::new();
        while let Some(message) = parts.message().await? {
            if let Some(Part::Chunk(chunk)) = message.part {
                if material.len() + chunk.len() > limit {
                    return Err(Status::internal("more material than any evaluation keys have"));
                }
                material.extend_from_slice(&chunk);
            }
        }
        Ok(material)
    }
}

fn no_evaluation(tenant: &TenantId, key_id: &KeyId) -> KeyError {
    KeyError::NoEvaluation { tenant: tenant.clone(), key_id: key_id.clone() }
}
