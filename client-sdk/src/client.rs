//! The client of the three services.

use std::path::PathBuf;
use std::sync::Arc;

use sphinx_access::Token;
use sphinx_channel::{
    Address, ChannelError, INFERENCE_PORT, KEY_VAULT_PORT, Security, TRAINER_PORT,
};
use sphinx_proto::v1::DescribeModelRequest;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::{ModelId, TenantId};
use sphinx_tls::Identity as TlsIdentity;

use crate::connection::Connection;
use crate::error::ClientError;
use crate::witness::Witness;

/// Where the services are and who is asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoints {
    /// Address of the trainer, `https://HOST:PORT`, or `http` on this machine.
    pub trainer: String,
    /// Addresses of further trainers on the same store, which may take a share of the blocks of a
    /// training ([`crate::TrainingRequest::shards`]).
    pub further_trainers: Vec<String>,
    /// Address of the inference service.
    pub inference: String,
    /// Address of the key vault.
    pub keyvault: String,
    /// The tenant whose keys and models are meant.
    pub tenant: TenantId,
    /// Whom to believe, what to show, and what may go in clear text.
    pub security: Security,
}

impl Default for Endpoints {
    fn default() -> Self {
        Self {
            trainer: Address::local(TRAINER_PORT).to_string(),
            further_trainers: Vec::new(),
            inference: Address::local(INFERENCE_PORT).to_string(),
            keyvault: Address::local(KEY_VAULT_PORT).to_string(),
            tenant: TenantId::default(),
            security: Security::default(),
        }
    }
}

impl Endpoints {
    /// What `SPHINX_TRAINER`, `SPHINX_FURTHER_TRAINERS` (with commas between), `SPHINX_INFERENCE`,
    /// `SPHINX_KEYVAULT`, `SPHINX_TENANT`, `SPHINX_CA`, `SPHINX_CERTIFICATE` with
    /// `SPHINX_CERTIFICATE_KEY`, and `SPHINX_TOKEN` say, as the command reads them; where one is
    /// absent or empty, the default.
    ///
    /// # Errors
    /// [`ClientError::Name`] for a tenant that is not a valid name, [`ClientError::Token`] for what
    /// is no token.
    pub fn from_environment() -> Result<Self, ClientError> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let Self { trainer, inference, keyvault, tenant, .. } = Self::default();
        let path = |name| variable(name).map(PathBuf::from);
        let shown = path("SPHINX_CERTIFICATE").zip(path("SPHINX_CERTIFICATE_KEY"));
        let token = variable("SPHINX_TOKEN").map(zeroize::Zeroizing::new);
        Ok(Self {
            trainer: variable("SPHINX_TRAINER").unwrap_or(trainer),
            further_trainers: variable("SPHINX_FURTHER_TRAINERS")
                .map(|list| list.split(',').map(|one| one.trim().to_owned()).collect())
                .unwrap_or_default(),
            inference: variable("SPHINX_INFERENCE").unwrap_or(inference),
            keyvault: variable("SPHINX_KEYVAULT").unwrap_or(keyvault),
            tenant: variable("SPHINX_TENANT").map_or(Ok(tenant), TenantId::parse)?,
            security: Security {
                ca: path("SPHINX_CA"),
                identity: shown.map(|(certificate, key)| TlsIdentity { certificate, key }),
                token: token.map(|text| Token::parse(&text)).transpose()?,
                insecure_cleartext: false,
            },
        })
    }
}

/// Where a service is, and how it is spoken to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reach {
    /// `keyvault`, `trainer` or `inference`.
    pub service: &'static str,
    /// Its address.
    pub address: String,
    /// Whether what is said is encrypted on the way and the service has to show a certificate;
    /// clear text otherwise.
    pub encrypted: bool,
    /// File of the authorities that may vouch for it; `None` for those of the system.
    pub authority: Option<PathBuf>,
    /// Whether this client shows a certificate of its own.
    pub mutual: bool,
    /// Whether it says by a token who it is.
    pub token: bool,
}

impl Reach {
    fn new(
        service: &'static str,
        address: &str,
        security: &Security,
    ) -> Result<Self, ChannelError> {
        let wrong = |cause| ChannelError::Address { service, cause };
        let address: Address = address.parse().map_err(wrong)?;
        Ok(Self {
            service,
            encrypted: address.is_encrypted(),
            address: address.to_string(),
            authority: security.ca.clone(),
            mutual: security.identity.is_some(),
            token: security.token.is_some(),
        })
    }
}

/// A client of the three services. Connections are made at the first request and again whenever
/// they break; clones share them.
///
/// ```no_run
/// use sphinx_client::{Endpoints, SphinxClient};
///
/// # async fn example() -> Result<(), sphinx_client::ClientError> {
/// let client = SphinxClient::new(&Endpoints::default())?;
/// for model in client.list_models().await? {
///     println!("{} at version {}", model.model_id, model.version);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct SphinxClient {
    reaches: Arc<[Reach]>,
    pub(crate) trainer: Connection,
    endpoints: Arc<Endpoints>,
    pub(crate) inference: Connection,
    pub(crate) keyvault: Connection,
    /// Whose keys and models are meant.
    pub(crate) tenant: TenantId,
}

impl SphinxClient {
    /// A client of the services at `endpoints`.
    ///
    /// # Errors
    /// [`ChannelError::Address`](crate::ChannelError::Address) for an address that is not a URL,
    /// [`ChannelError::Security`](crate::ChannelError::Security) for one that may not be called, or
    /// for certificates that cannot be used. Whether somebody is there shows at the first request.
    pub fn new(endpoints: &Endpoints) -> Result<Self, ClientError> {
        let Endpoints { tenant, security, .. } = endpoints;
        let connect = |service, address: &str| Connection::new(service, address, tenant, security);
        let reach = |service, address: &str| Reach::new(service, address, security);
        let mut reaches = vec![
            reach("keyvault", &endpoints.keyvault)?,
            reach("trainer", &endpoints.trainer)?,
            reach("inference", &endpoints.inference)?,
        ];
        for further in &endpoints.further_trainers {
            connect("trainer", further)?;
            reaches.push(reach("trainer", further)?);
        }
        Ok(Self {
            reaches: reaches.into(),
            endpoints: Arc::new(endpoints.clone()),
            trainer: connect("trainer", &endpoints.trainer)?,
            inference: connect("inference", &endpoints.inference)?,
            keyvault: connect("keyvault", &endpoints.keyvault)?,
            tenant: endpoints.tenant.clone(),
        })
    }

    /// Where the services are, and how they are spoken to.
    pub fn reaches(&self) -> &[Reach] {
        &self.reaches
    }

    /// So many connections beside the first to trainers, which come in turn.
    pub(crate) fn further_trainers(&self, count: usize) -> Result<Vec<Connection>, ClientError> {
        let Endpoints { trainer, further_trainers, tenant, security, .. } = &*self.endpoints;
        let all: Vec<&String> = std::iter::once(trainer).chain(further_trainers).collect();
        let further = all.iter().cycle().skip(1).take(count);
        further.map(|address| Connection::new("trainer", address, tenant, security)).collect()
    }

    /// Whether the inference service answers this client: any answer about a model will do, also
    /// that there is none of that name.
    ///
    /// # Errors
    /// What the connection says.
    pub async fn reach_inference(&self, model_id: &ModelId) -> Result<(), ClientError> {
        let ask = |channel| async move {
            let request =
                DescribeModelRequest { model_id: model_id.to_string(), version: Some(u64::MAX) };
            InferenceClient::new(channel).describe_model(request).await
        };
        match self.inference.call(ask).await {
            Err(error) if !error.is_not_found() => Err(error),
            Err(_) | Ok(_) => Ok(()),
        }
    }

    /// The same client, which shows a witness what leaves for training and recognition.
    #[must_use]
    pub fn witnessed(self, witness: &Witness) -> Self {
        Self {
            trainer: self.trainer.witnessed(witness.clone()),
            inference: self.inference.witnessed(witness.clone()),
            ..self
        }
    }
}
