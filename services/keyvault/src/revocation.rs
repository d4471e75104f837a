//! The authorisation of keys: theirs from the registration on, until they are revoked.

use sphinx_objects::ObjectError;
use sphinx_objects::record::{RecordError, seal, unseal};
use sphinx_proto::v1::KeyKind;
use sphinx_proto::{KeyId, TenantId};

use crate::error::VaultError;
use crate::layout::{self, Entry, RevocationRecord};
use crate::vault::Vault;

impl Vault {
    /// Revokes whatever is registered under an id, for good. Of several revocations the first
    /// counts.
    pub(crate) async fn revoke(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
        now_unix_seconds: i64,
    ) -> Result<Entry, VaultError> {
        let _one_at_a_time = self.registering.lock().await;
        let kind = match self.find(tenant, KeyKind::Identity, key_id).await? {
            Some(_) => KeyKind::Identity,
            None => KeyKind::Evaluation,
        };
        self.get(tenant, kind, key_id).await?;
        let (path, revoked_unix_seconds) = (layout::revocation(tenant, key_id), now_unix_seconds);
        let record = RevocationRecord { key_id: key_id.to_string(), revoked_unix_seconds };
        self.objects.create(&path, seal(&record)).await?;
        self.get(tenant, kind, key_id).await
    }

    /// Since when a key is revoked, in seconds since 1970-01-01 UTC.
    pub(crate) async fn revoked(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<Option<i64>, ObjectError> {
        let path = layout::revocation(tenant, key_id);
        let Some(object) = self.objects.get(&path).await? else { return Ok(None) };
        let damaged = |cause| ObjectError::Damaged { path: path.to_string(), cause };
        let record: RevocationRecord = unseal(object).map_err(damaged)?;
        if record.key_id == key_id.as_str() {
            Ok(Some(record.revoked_unix_seconds))
        } else {
            Err(damaged(RecordError::Message(format!("it revokes {}", record.key_id))))
        }
    }

    /// Nothing is registered under a revoked key, nor handed out.
    pub(crate) async fn refuse_revoked(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<(), VaultError> {
        match self.revoked(tenant, key_id).await? {
            Some(since) => Err(VaultError::Revoked { key_id: key_id.clone(), since }),
            None => Ok(()),
        }
    }
}
