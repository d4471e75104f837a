//! The key vault as trainer and inference see it: they serve only keys that it knows.

mod error;
mod evaluation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sphinx_access::Token;
use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::key_vault_server;
use sphinx_proto::v1::{GetKeyRequest, Key, KeyKind};
use sphinx_proto::{KeyId, TenantId};
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

pub use error::KeyDirectoryError;

use crate::address::Address;
use crate::retries::{Retries, may_pass};
use crate::security::Security;
use crate::status::root_cause;
use crate::tenant::{Caller, TenantChannel};

/// Deadline of one try.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// About a second in all, the length of a key vault's restart. A request waits meanwhile, so that
/// no longer pause is asked for.
const RETRIES: Retries = Retries {
    pauses: &[Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)],
    longest_hint: Duration::ZERO,
};
/// How long an answer counts without asking again, and so the longest time that a revoked key is
/// still served.
const FRESH: Duration = Duration::from_secs(5);
/// How long the last word of a key vault that has fallen silent counts.
const LAST_WORD: Duration = Duration::from_secs(60);
/// Most keys remembered; beyond it the memory is emptied, since tenants choose the names.
const MAX_REMEMBERED: usize = 4096;

/// The keys registered in the key vault, as trainer and inference see them. Clones share connection
/// and memory.
#[derive(Debug, Clone)]
pub struct KeyDirectory {
    address: Arc<Address>,
    channel: Channel,
    token: Option<Token>,
    known: Arc<Mutex<Known>>,
}

type Known = HashMap<(TenantId, KeyId), Remembered>;

/// A key that may be used.
#[derive(Debug, Clone)]
struct Remembered {
    key: Key,
    /// When the key vault said so,
    said: Instant,
    /// and when it was asked last, if in vain.
    asked: Instant,
}

impl KeyDirectory {
    /// Prepares the connection; it is made at the first question, and again whenever it breaks, so
    /// that services can start in any order.
    ///
    /// # Errors
    /// [`KeyDirectoryError::Address`] for a text that is not an address,
    /// [`KeyDirectoryError::Security`] for one that may not be called, or certificates that cannot
    /// be used.
    pub fn connect(address: &str, security: &Security) -> Result<Self, KeyDirectoryError> {
        let address: Address = address.parse()?;
        let endpoint = address.endpoint(TRY_TIMEOUT)?.timeout(TRY_TIMEOUT);
        let dialler = security.dialler(&address, endpoint)?;
        Ok(Self {
            address: Arc::new(address),
            channel: dialler.connect_lazy(),
            token: security.token.clone(),
            known: Arc::default(),
        })
    }

    /// The key, if the key vault knows it for this tenant and it is not revoked. An answer counts
    /// for five seconds, so that this may be called before every piece of work. A silent key vault
    /// is asked four times in about a second; what it said last counts for a minute.
    ///
    /// # Errors
    /// [`KeyDirectoryError::Unknown`], [`KeyDirectoryError::Revoked`] or
    /// [`KeyDirectoryError::Refused`] (FAILED_PRECONDITION), [`KeyDirectoryError::Unreachable`]
    /// (UNAVAILABLE) or [`KeyDirectoryError::Answer`] (INTERNAL).
    pub async fn require(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<Key, KeyDirectoryError> {
        let id = (tenant.clone(), key_id.clone());
        let remembered = self.remembered(&id);
        if let Some(Remembered { key, .. }) =
            remembered.as_ref().filter(|known| known.asked.elapsed() < FRESH)
        {
            return Ok(key.clone());
        }
        let asked = self.patiently(|| self.ask(tenant, key_id, KeyKind::Identity)).await;
        let now = Instant::now();
        match (asked, remembered) {
            (Ok(Some(key)), _) => {
                let usable = self.unless_revoked(&id, key);
                self.note(id, usable.as_ref().ok().map(|key| (key, now, now)));
                usable
            }
            (Err(KeyDirectoryError::Unreachable { .. }), Some(known))
                if known.said.elapsed() < LAST_WORD =>
            {
                self.note(id, Some((&known.key, known.said, now)));
                Ok(known.key)
            }
            (Ok(None), _) => {
                self.note(id, None);
                let (tenant, key_id) = (tenant.clone(), key_id.clone());
                Err(KeyDirectoryError::Unknown { tenant, key_id })
            }
            (Err(error), _) => {
                self.note(id, None);
                Err(error)
            }
        }
    }

    /// Whether the key vault serves now.
    ///
    /// # Errors
    /// [`KeyDirectoryError::Unreachable`] if it does not answer or says that it does not.
    pub async fn reach(&self) -> Result<(), KeyDirectoryError> {
        let mut client = HealthClient::new(self.channel.clone());
        let service = key_vault_server::SERVICE_NAME.to_owned();
        let asked = client.check(HealthCheckRequest { service }).await;
        let status = asked.map(|answer| answer.into_inner().status());
        let cause = match status {
            Ok(ServingStatus::Serving) => return Ok(()),
            Ok(status) => format!("it answers {}", status.as_str_name()),
            Err(status) => root_cause(&status),
        };
        Err(KeyDirectoryError::Unreachable { address: self.address.to_string(), tries: 1, cause })
    }

    fn unless_revoked(
        &self,
        (tenant, key_id): &(TenantId, KeyId),
        key: Key,
    ) -> Result<Key, KeyDirectoryError> {
        match key.revoked_unix_seconds {
            None => Ok(key),
            Some(since) => {
                let (tenant, key_id) = (tenant.clone(), key_id.clone());
                Err(KeyDirectoryError::Revoked { tenant, key_id, since })
            }
        }
    }

    /// Asks with pauses while the key vault is silent; `None` when it knows of nothing.
    async fn patiently<T, F, A>(&self, ask: F) -> Result<Option<T>, KeyDirectoryError>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, Status>>,
    {
        match RETRIES.run(may_pass, ask).await {
            Ok(answer) => Ok(Some(answer)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) if may_pass(&status) => Err(KeyDirectoryError::Unreachable {
                address: self.address.to_string(),
                tries: RETRIES.tries(),
                cause: root_cause(&status),
            }),
            Err(status) if status.code() == Code::FailedPrecondition => {
                Err(KeyDirectoryError::Refused { message: status.message().to_owned() })
            }
            Err(status) => Err(self.answer(status.code(), status.message())),
        }
    }

    async fn ask(&self, tenant: &TenantId, key_id: &KeyId, kind: KeyKind) -> Result<Key, Status> {
        let request = GetKeyRequest { key_id: key_id.to_string(), kind: kind.into() };
        let reply = self.client(tenant).get_key(request).await?.into_inner();
        reply.key.ok_or_else(|| Status::internal("a reply without a key"))
    }

    /// The key vault's client in the name of a tenant.
    fn client(&self, tenant: &TenantId) -> KeyVaultClient<TenantChannel> {
        let caller = Caller::new(tenant, self.token.as_ref());
        KeyVaultClient::new(caller.on(self.channel.clone()))
    }

    fn remembered(&self, id: &(TenantId, KeyId)) -> Option<Remembered> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).cloned()
    }

    /// Remembers a key with when the key vault said so and when it was asked, or forgets it.
    fn note(&self, id: (TenantId, KeyId), key: Option<(&Key, Instant, Instant)>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((key, said, asked)) = key else {
            known.remove(&id);
            return;
        };
        if known.len() >= MAX_REMEMBERED && !known.contains_key(&id) {
            known.clear();
        }
        known.insert(id, Remembered { key: key.clone(), said, asked });
    }

    fn answer(&self, code: Code, message: &str) -> KeyDirectoryError {
        let (address, message) = (self.address.to_string(), message.to_owned());
        KeyDirectoryError::Answer { address, code, message }
    }
}
