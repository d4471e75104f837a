//! The key check: trainer and inference serve only keys that the key vault knows.

mod evaluation;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use sphinx_proto::{
    ErrorCode, KeyId, RpcError, TenantId,
    v1::{GetKeyRequest, Key, KeyKind, key_vault_client::KeyVaultClient},
};
use tonic::{
    Code, Request, Status,
    metadata::MetadataValue,
    transport::{Channel, Endpoint},
};

/// Deadline of one try.
const TRY_TIMEOUT: Duration = Duration::from_secs(2);
/// Pauses between the tries: about a second in all, the length of a key vault's restart.
const PAUSES: [Duration; 3] =
    [Duration::from_millis(100), Duration::from_millis(300), Duration::from_millis(700)];
/// How long a known key stays known without asking. Keys never change, so this only bounds how long a
/// key removed by an operator stays usable.
const TTL: Duration = Duration::from_secs(60);
/// Most keys remembered; beyond it the memory is emptied, since tenants choose the names.
const MAX_REMEMBERED: usize = 4096;

/// The keys registered in the key vault, as trainer and inference see them. Clones share connection
/// and memory.
#[derive(Debug, Clone)]
pub struct KeyDirectory {
    address: Arc<str>,
    client: KeyVaultClient<Channel>,
    known: Arc<Mutex<Known>>,
}

type Known = HashMap<(TenantId, KeyId), (Key, Instant)>;

/// Why a key may not be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum KeyError {
    /// The configured address is none.
    #[error("key vault address {address:?} is not http://HOST:PORT")]
    Address {
        /// The address.
        address: String,
    },
    /// The key vault does not know the key.
    #[error("key {key_id} is not registered for tenant {tenant}; register it with ExchangeKeys")]
    Unknown {
        /// The tenant of the request.
        tenant: TenantId,
        /// The key asked for.
        key_id: KeyId,
    },
    /// No evaluation keys under this id, or no longer.
    #[error(
        "no evaluation keys are registered under key {key_id} of tenant {tenant}; register them with ExchangeKeys"
    )]
    NoEvaluation {
        /// The tenant of the request.
        tenant: TenantId,
        /// The key asked for.
        key_id: KeyId,
    },
    /// Others were registered in their place while they were fetched.
    #[error(
        "the evaluation keys {key_id} were exchanged meanwhile: fingerprint {got} is registered, expected {expected}"
    )]
    Exchanged {
        /// The key asked for.
        key_id: KeyId,
        /// What is registered now.
        got: String,
        /// What was when the request came.
        expected: String,
    },
    /// What the key vault sent is not what it has registered.
    #[error(
        "the key vault at {address} sent evaluation keys of fingerprint {got}, expected {expected}"
    )]
    Material {
        /// Its address.
        address: String,
        /// Of what came.
        got: String,
        /// As registered.
        expected: String,
    },
    /// The key vault did not answer.
    #[error("the key vault at {address} did not answer ({tries} tries): {cause}")]
    Unreachable {
        /// Its address.
        address: String,
        /// How often it was asked.
        tries: usize,
        /// What the last try said.
        cause: String,
    },
    /// The key vault answered with something that makes no sense.
    #[error("the key vault at {address} answered {code:?}: {message}")]
    Answer {
        /// Its address.
        address: String,
        /// The status code.
        code: Code,
        /// The status message.
        message: String,
    },
}

impl KeyDirectory {
    /// Prepares the connection; it is made at the first question, and again whenever it breaks, so that
    /// services can start in any order.
    ///
    /// # Errors
    /// [`KeyError::Address`] for an address that is no URL.
    pub fn connect(address: &str) -> Result<Self, KeyError> {
        let endpoint = Endpoint::from_shared(address.to_owned())
            .map_err(|_| KeyError::Address { address: address.to_owned() })?
            .connect_timeout(TRY_TIMEOUT)
            .timeout(TRY_TIMEOUT)
            .tcp_nodelay(true);
        Ok(Self {
            address: address.into(),
            client: KeyVaultClient::new(endpoint.connect_lazy()),
            known: Arc::default(),
        })
    }

    /// The key, if the key vault knows it for this tenant. Remembers a positive answer for a minute; a
    /// silent key vault is asked four times in about a second.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] (FAILED_PRECONDITION), [`KeyError::Unreachable`] (UNAVAILABLE) or
    /// [`KeyError::Answer`] (INTERNAL).
    pub async fn require(&self, tenant: &TenantId, key_id: &KeyId) -> Result<Key, KeyError> {
        let id = (tenant.clone(), key_id.clone());
        if let Some(key) = self.remembered(&id) {
            return Ok(key);
        }
        let asked = self.patiently(|| self.ask(tenant, key_id, KeyKind::PublicEncryption)).await?;
        let key = asked
            .ok_or_else(|| KeyError::Unknown { tenant: id.0.clone(), key_id: id.1.clone() })?;
        self.remember(id, &key);
        Ok(key)
    }

    /// Asks with pauses while the key vault is silent; `None` when it knows of nothing.
    async fn patiently<T, F, A>(&self, mut ask: F) -> Result<Option<T>, KeyError>
    where
        F: FnMut() -> A,
        A: Future<Output = Result<T, Status>>,
    {
        let mut pauses = PAUSES.iter();
        loop {
            let status = match ask().await {
                Ok(answer) => return Ok(Some(answer)),
                Err(status) => status,
            };
            if status.code() == Code::NotFound {
                return Ok(None);
            }
            if !passing(status.code()) {
                return Err(self.answer(status.code(), status.message()));
            }
            let Some(pause) = pauses.next() else {
                return Err(KeyError::Unreachable {
                    address: self.address.to_string(),
                    tries: PAUSES.len() + 1,
                    cause: status.message().to_owned(),
                });
            };
            tokio::time::sleep(*pause).await;
        }
    }

    async fn ask(&self, tenant: &TenantId, key_id: &KeyId, kind: KeyKind) -> Result<Key, Status> {
        let message = GetKeyRequest { key_id: key_id.to_string(), kind: kind.into() };
        let request = of_tenant(tenant, message)?;
        let reply = self.client.clone().get_key(request).await?.into_inner();
        reply.key.ok_or_else(|| Status::internal("a reply without a key"))
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

    fn answer(&self, code: Code, message: &str) -> KeyError {
        KeyError::Answer { address: self.address.to_string(), code, message: message.to_owned() }
    }
}

/// A request in the name of a tenant.
fn of_tenant<T>(tenant: &TenantId, message: T) -> Result<Request<T>, Status> {
    let mut request = Request::new(message);
    let name = MetadataValue::try_from(tenant.as_str())
        .map_err(|_| Status::internal("a tenant's name is no metadata value"))?;
    request.metadata_mut().insert(TenantId::FIELD, name);
    Ok(request)
}

/// Whether another try may help. A deadline of ours shows as CANCELLED.
fn passing(code: Code) -> bool {
    matches!(
        code,
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::ResourceExhausted
    )
}

impl RpcError for KeyError {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Unknown { .. } | Self::NoEvaluation { .. } | Self::Exchanged { .. } => {
                ErrorCode::FailedPrecondition
            }
            Self::Unreachable { .. } => ErrorCode::Unavailable,
            Self::Address { .. } | Self::Answer { .. } | Self::Material { .. } => {
                ErrorCode::Internal
            }
        }
    }
}
