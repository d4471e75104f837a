//! What can be wrong with keys.

/// Why a secret key, or what was made of it, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientKeyError {
    /// The secret key is unusable.
    #[error(transparent)]
    Key(#[from] sphinx_secret::KeyError),
    /// The key file is unusable.
    #[error(transparent)]
    KeyFile(#[from] sphinx_secret::KeyFileError),
    /// Result ciphertexts have the wrong size.
    #[error(transparent)]
    Decrypt(#[from] sphinx_secret::DecryptError),
    /// Evaluation keys cannot be made or read.
    #[error(transparent)]
    EvaluationKeys(#[from] sphinx_evaluation_keys::EvaluationKeyError),
}
