//! A version as a service states it, believed only as far as its owner left it so.

use bytes::Bytes;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::ModelId;
use sphinx_proto::v1::VersionState;
use sphinx_secret::ReadKey;
use sphinx_wire::state::{
    Binding, Hash, Link, first_chain, hash_from, network_sha256, sealed_sha256,
};

use crate::connection::Connection;
use crate::error::{ClientError, StateError};
use crate::sealed_state::ClientState;

/// The hashes that a version is bound to, and the owner's sealed half of it.
pub(crate) struct StatedVersion {
    pub version: u64,
    /// h of the version.
    pub chain: Hash,
    /// H of its weights.
    pub weights: Hash,
    /// H of the server's half of the optimiser's state.
    pub optimizer: Hash,
    link: Link,
    sealed: Bytes,
}

impl StatedVersion {
    /// # Errors
    /// [`crate::ChannelError::Protocol`] for hashes that are none.
    pub fn read(service: &Connection, state: &VersionState) -> Result<Self, ClientError> {
        let read = |bytes: &[u8]| {
            let got = format_args!("a hash of {} bytes", bytes.len());
            hash_from(bytes).ok_or_else(|| service.protocol(got, "32 bytes"))
        };
        let weights = read(&state.weights_sha256)?;
        Ok(Self {
            version: state.version,
            chain: read(&state.chain)?,
            weights,
            optimizer: read(&state.optimizer_sha256)?,
            link: Link {
                previous: read(&state.previous_chain)?,
                gradient: read(&state.gradient_sha256)?,
                weights,
                sealed: sealed_sha256(&state.sealed),
            },
            sealed: state.sealed.clone(),
        })
    }

    /// h of the version before; zeros at version 0.
    pub fn previous(&self) -> Hash {
        self.link.previous
    }

    /// The owner's half, once the chain is found to lead here. That of version 0 is known.
    ///
    /// # Errors
    /// [`StateError::Sealed`] and [`StateError::Contents`] as [`ClientState::open`];
    /// [`StateError::OtherChain`] for another history.
    pub fn open(
        &self,
        key: &ReadKey,
        model: &ModelId,
        spec: &NetworkSpec,
        plan: &Plan,
    ) -> Result<ClientState, ClientError> {
        let (incarnation, network) = (key.model().incarnation, network_sha256(spec));
        let (state, chain) = if self.version == 0 {
            let chain = first_chain(model, &incarnation, &network, &self.weights);
            (ClientState::initial(plan), chain)
        } else {
            let binding = Binding {
                incarnation,
                version: self.version,
                previous: self.link.previous,
                network,
                weights: self.weights,
                optimizer: self.optimizer,
            };
            (ClientState::open(key, spec, model, &binding, &self.sealed)?, self.link.chain())
        };
        if chain == self.chain {
            Ok(state)
        } else {
            let (model, version) = (model.to_string(), self.version);
            Err(StateError::OtherChain { model, version }.into())
        }
    }
}
