//! The network of a stored model: the one place where its stored bytes are read.

use prost::{DecodeError, Message};
use sphinx_network::{NetworkSpec, Plan, SpecError};
use sphinx_proto::{ConversionError, v1};

use crate::model::ModelMeta;

/// A model's network in the forms that services use.
#[derive(Debug, Clone)]
pub struct StoredNetwork {
    /// As callers receive it.
    pub message: v1::Network,
    /// Its layers.
    pub spec: NetworkSpec,
    /// Its stages, all shapes checked.
    pub plan: Plan,
}

/// How stored bytes differ from every network that a model can be made with.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum NetworkFault {
    /// They are not a message of the schema.
    #[error("its network cannot be decoded: {0}")]
    Encoding(#[from] DecodeError),
    /// A field has a value that it cannot have.
    #[error("its network: {0}")]
    Field(#[from] ConversionError),
    /// The layers do not fit each other.
    #[error("its network: {0}")]
    Spec(#[from] SpecError),
}

impl ModelMeta {
    /// Reads the model's network.
    ///
    /// # Errors
    /// [`NetworkFault`] for bytes that no creation would have stored.
    pub fn stored_network(&self) -> Result<StoredNetwork, NetworkFault> {
        let message = v1::Network::decode(self.network.clone())?;
        let spec = NetworkSpec::try_from(message.clone())?;
        let plan = Plan::new(&spec)?;
        Ok(StoredNetwork { message, spec, plan })
    }
}
