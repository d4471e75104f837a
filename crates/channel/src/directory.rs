//! The key vault as trainer and inference see it: they serve only keys that it knows.

mod error;
mod evaluation;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use sphinx_proto::v1::key_vault_client::KeyVaultClient;
use sphinx_proto::v1::{GetKeyRequest, Key, KeyKind};
use sphinx_proto::{KeyId, TenantId};
use tonic::transport::Channel;
use tonic::{Code, Status};

pub use error::KeyDirectoryError;

use crate::address::Address;
use crate::retries::{Retries, may_pass};
use crate::status::root_cause;
use crate::tenant::{TenantChannel, in_the_name_of};

/// Deadline of one try.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// About a second in all, the length of a key vault's restart. A request waits meanwhile, so that
/// no longer pause is asked for.
const RETRIES: Retries = Retries {
    pauses: &[Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)],
    longest_hint: Duration::ZERO,
};
/// How long a known key stays known without asking. Keys never change, so this only bounds how long
/// a key removed by an operator stays usable.
const TTL: Duration = Duration::from_secs(60);
/// Most keys remembered; beyond it the memory is emptied, since tenants choose the names.
const MAX_REMEMBERED: usize = 4096;

/// The keys registered in the key vault, as trainer and inference see them. Clones share connection
/// and memory.
#[derive(Debug, Clone)]
pub struct KeyDirectory {
    address: Arc<Address>,
    channel: Channel,
    known: Arc<Mutex<Known>>,
}

type Known = HashMap<(TenantId, KeyId), (Key, Instant)>;

impl KeyDirectory {
    /// Prepares the connection; it is made at the first question, and again whenever it breaks, so
    /// that services can start in any order.
    ///
    /// # Errors
    /// [`KeyDirectoryError::Address`] for a text that is not an address.
    pub fn connect(address: &str) -> Result<Self, KeyDirectoryError> {
        let address: Address = address.parse()?;
        let endpoint = address.endpoint(TRY_TIMEOUT)?.timeout(TRY_TIMEOUT);
        Ok(Self {
            address: Arc::new(address),
            channel: endpoint.connect_lazy(),
            known: Arc::default(),
        })
    }

    /// The key, if the key vault knows it for this tenant. Remembers a positive answer for a
    /// minute; a silent key vault is asked four times in about a second.
    ///
    /// # Errors
    /// [`KeyDirectoryError::Unknown`] (FAILED_PRECONDITION), [`KeyDirectoryError::Unreachable`]
    /// (UNAVAILABLE) or [`KeyDirectoryError::Answer`] (INTERNAL).
    pub async fn require(
        &self,
        tenant: &TenantId,
        key_id: &KeyId,
    ) -> Result<Key, KeyDirectoryError> {
        let id = (tenant.clone(), key_id.clone());
        if let Some(key) = self.remembered(&id) {
            return Ok(key);
        }
        let asked = self.patiently(|| self.ask(tenant, key_id, KeyKind::PublicEncryption)).await?;
        let key = asked.ok_or_else(|| KeyDirectoryError::Unknown {
            tenant: id.0.clone(),
            key_id: id.1.clone(),
        })?;
        self.remember(id, &key);
        Ok(key)
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
        KeyVaultClient::new(in_the_name_of(tenant, self.channel.clone()))
    }

    fn remembered(&self, id: &(TenantId, KeyId)) -> Option<Key> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(id).filter(|(_, since)| since.elapsed() < TTL).map(|(key, _)| key.clone())
    }

    fn remember(&self, id: (TenantId, KeyId), key: &Key) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_REMEMBERED {
            known.clear();
        }
        known.insert(id, (key.clone(), Instant::now()));
    }

    fn answer(&self, code: Code, message: &str) -> KeyDirectoryError {
        let (address, message) = (self.address.to_string(), message.to_owned());
        KeyDirectoryError::Answer { address, code, message }
    }
}
