//! Why tokens and registers cannot be used.

use std::path::PathBuf;

/// Why there is no token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// Not the form of a token.
    #[error("this is no token: expected sphinx_ and 43 letters, as `sphinx tokens new` prints it")]
    Malformed,
    /// A file does not hold one, or may be read by others.
    #[error("token file {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
}

/// Why a register of credentials cannot be used or changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// The system refuses.
    #[error("credentials {}: {cause}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        cause: String,
    },
    /// Not what `sphinx tokens` writes.
    #[error("credentials {} are damaged: {cause}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        cause: String,
    },
    /// A role that belongs to a tenant without one, or one that does not with one.
    #[error("role {role}: {}", if *needs { "a tenant has to be named" } else { "it belongs to no tenant" })]
    Scope {
        /// The role.
        role: crate::Role,
        /// Whether a tenant is needed.
        needs: bool,
    },
    /// Nothing has that id.
    #[error("no credential is called {id}; `sphinx tokens list` shows them")]
    Unknown {
        /// The id.
        id: String,
    },
    /// The same token or certificate stands there already.
    #[error("credential {id} is the same token or certificate")]
    Exists {
        /// Its id.
        id: String,
    },
}
