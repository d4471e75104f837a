//! Why something cannot be done with what is on this machine.

use std::io;
use std::path::PathBuf;

use crate::error::ClientError;
use crate::recipe::RecipeError;

/// Why an operation of a [`Workspace`](crate::workspace::Workspace) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkspaceError {
    /// The client or a service refuses.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// A recipe is wrong.
    #[error(transparent)]
    Recipe(#[from] RecipeError),
    /// A file or a directory of the home cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// No key was named, and there is none to choose.
    #[error("there is no key on this machine")]
    NoKey,
    /// No key was named, and several could be meant.
    #[error("there are several keys ({}): say which one", ids.join(", "))]
    WhichKey {
        /// Their ids.
        ids: Vec<String>,
    },
    /// The secret half of a key is not here.
    #[error(
        "key {id} has no secret half at {}: it is on another machine, or in another home (to recognise, a read key \
         is enough: `sphinx keys export-read` there, `import-read` here)",
        path.display()
    )]
    NoSecret {
        /// The key.
        id: String,
        /// Where it would be.
        path: PathBuf,
    },
    /// A read key is of another tenant's model.
    #[error("the read key is for a model of tenant {got}, this is {expected}: give --tenant {got}")]
    OtherTenant {
        /// Whose model it is.
        got: String,
        /// The tenant in use.
        expected: String,
    },
    /// A key is sealed, and there is no passphrase.
    #[error("key {id} is sealed by a passphrase: {source}")]
    Passphrase {
        /// The key.
        id: String,
        /// Why there is none.
        source: io::Error,
    },
    /// A file is written to just now.
    #[error("{} is in use: wait for the training that writes to it", path.display())]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// There is nothing to back up.
    #[error("{} holds no key and no ledger: there is nothing to back up", path.display())]
    NothingToKeep {
        /// The home.
        path: PathBuf,
    },
    /// A file of a backup is here already, and another.
    #[error(
        "{} is here already and differs from the backup: nothing was restored; restore into another home, or move it \
         away", path.display()
    )]
    Differs {
        /// The file.
        path: PathBuf,
    },
    /// Nothing is registered under the id of a key.
    #[error("key {id} is not registered")]
    NotRegistered {
        /// The key.
        id: String,
    },
    /// The key was revoked.
    #[error("key {id} was revoked: nothing is served under it; use another key")]
    Revoked {
        /// The key.
        id: String,
    },
    /// Another identity is registered under the id of a key.
    #[error(
        "the key vault has another identity for key {id}: fingerprint {got}, here {expected}; use a key with \
         another id"
    )]
    OtherIdentity {
        /// The key.
        id: String,
        /// Fingerprint of what is registered.
        got: String,
        /// Fingerprint of the identity here.
        expected: String,
    },
    /// A model of that name is not the one asked for.
    #[error("model {model} exists with another {what}: {got}, asked for {expected}")]
    OtherModel {
        /// The model.
        model: String,
        /// `network` or `key`.
        what: &'static str,
        /// What the model has.
        got: String,
        /// What was asked for.
        expected: String,
    },
    /// A data set cannot test the network.
    #[error("the network tells {got} classes apart, the data set has {expected}")]
    Classes {
        /// Classes of the network.
        got: usize,
        /// Classes of the data set.
        expected: usize,
    },
}
