//! Evaluation keys: asked for at every request, and fetched as material.

use std::time::Duration;

use sphinx_proto::conversion::parameter_set;
use sphinx_proto::v1::fetch_key_response::Part;
use sphinx_proto::v1::{FetchKeyRequest, Key, KeyKind};
use sphinx_proto::{Fingerprint, KeyId, TenantId};
use tonic::{Code, Status};

use crate::directory::{KeyDirectory, KeyDirectoryError};

/// Longest wait for the next part of a material, a mebibyte.
const PART_TIMEOUT: Duration = Duration::from_secs(3);
/// Longest wait for a whole material, some 20 MB.
const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

impl KeyDirectory {
    /// The evaluation keys registered under an id, as of now: a removal or a revocation counts from
    /// the next request on. One small round trip.
    ///
    /// # Errors
    /// [`KeyDirectoryError::NoEvaluation`] or [`KeyDirectoryError::Revoked`] (FAILED_PRECONDITION),
    /// [`KeyDirectoryError::Unreachable`] (UNAVAILABLE) or [`KeyDirectoryError::Answer`]
    /// (INTERNAL).
    pub async fn evaluation(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<Key, KeyDirectoryError> {
        let asked = self.patiently(|| self.ask(tenant, key_id, KeyKind::Evaluation)).await?;
        let key = asked.ok_or_else(|| no_evaluation(tenant, key_id))?;
        self.unless_revoked(&(tenant.clone(), key_id.clone()), key)
    }

    /// The material of `key`, at most `limit` bytes. Held in memory as a whole. Keys that are
    /// removed meanwhile are asked for again, as they may be registered anew.
    ///
    /// # Errors
    /// As [`KeyDirectory::evaluation`]; [`KeyDirectoryError::Exchanged`] (FAILED_PRECONDITION) if
    /// others are registered by now; [`KeyDirectoryError::Answer`] for more bytes than were
    /// announced.
    pub async fn fetch_evaluation(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        key: &Key,
        limit: usize,
    ) -> Result<Vec<u8>, KeyDirectoryError> {
        let mut aborted = false;
        loop {
            let fetched = self.patiently(|| self.fetch(tenant, key_id, key, limit)).await;
            match fetched {
                // Of parts that are missing a second time, the key vault's disk is the cause.
                Err(KeyDirectoryError::Answer { code: Code::Aborted, .. }) if !aborted => {
                    aborted = true
                }
                fetched => return fetched?.ok_or_else(|| no_evaluation(tenant, key_id)),
            }
            let now = self.evaluation(tenant, key_id).await?;
            if now.fingerprint != key.fingerprint {
                let (key_id, got) = (key_id.clone(), now.fingerprint);
                return Err(KeyDirectoryError::Exchanged {
                    key_id,
                    got,
                    expected: key.fingerprint.clone(),
                });
            }
        }
    }

    /// Whether `material` has the fingerprint of `key`. Some 10 ms for 20 MB: not for asynchronous
    /// threads.
    ///
    /// # Errors
    /// [`KeyDirectoryError::Material`], or [`KeyDirectoryError::Answer`] for a parameter set that
    /// there is not.
    pub fn verify(&self, key: &Key, material: &[u8]) -> Result<(), KeyDirectoryError> {
        let set = parameter_set(key.parameter_set)
            .map_err(|error| self.answer(Code::Internal, &error.to_string()))?;
        let got = Fingerprint::new(set, KeyKind::Evaluation, material).to_string();
        if got == key.fingerprint {
            return Ok(());
        }
        let (address, expected) = (self.address.to_string(), key.fingerprint.clone());
        Err(KeyDirectoryError::Material { address, got, expected })
    }

    async fn fetch(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        key: &Key,
        limit: usize,
    ) -> Result<Vec<u8>, Status> {
        let request = FetchKeyRequest {
            key_id: key_id.to_string(),
            kind: KeyKind::Evaluation.into(),
            fingerprint: key.fingerprint.clone(),
        };
        // The deadline of a try ends with the reply's head, so that its messages need their own.
        let mut parts = self.client(tenant).fetch_key(request).await?.into_inner();
        let receive = async {
            let mut material = Vec::new();
            while let Some(message) = in_time(PART_TIMEOUT, parts.message()).await? {
                if let Some(Part::Chunk(chunk)) = message.part {
                    if material.len() + chunk.len() > limit {
                        return Err(Status::internal(
                            "more material than any evaluation keys have",
                        ));
                    }
                    material.extend_from_slice(&chunk);
                }
            }
            Ok(material)
        };
        in_time(FETCH_TIMEOUT, receive).await
    }
}

/// DEADLINE_EXCEEDED after `limit`.
async fn in_time<T>(
    limit: Duration,
    receive: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    let late = |_| {
        let millis = limit.as_millis();
        Status::deadline_exceeded(format!("evaluation keys did not come within {millis} ms"))
    };
    tokio::time::timeout(limit, receive).await.map_err(late)?
}

fn no_evaluation(tenant: &TenantId, key_id: &KeyId) -> KeyDirectoryError {
    KeyDirectoryError::NoEvaluation { tenant: tenant.clone(), key_id: key_id.clone() }
}
