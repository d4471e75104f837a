//! What can go wrong in a stage.

use std::error::Error;
use std::io;
use std::path::PathBuf;

/// Why a stage ends without its files.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// Not called as the harness does.
    #[error("usage: {program} SIZE, 0 (1 image), 1 (15), 2 (1000) or 3 (10 000); got {got:?}")]
    Usage {
        /// The stage.
        program: String,
        /// The argument.
        got: String,
    },
    /// A file that cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file with something else in it than is expected.
    #[error("{}: {got}, expected {expected}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What it holds.
        got: String,
        /// What it should hold.
        expected: String,
    },
    /// A product that is not what the weights make of the inputs.
    #[error("the server's products are wrong: nothing of them was decoded")]
    WrongProduct,
    /// A part of the library refused.
    #[error("{0}")]
    Library(Box<dyn Error + Send + Sync>),
}

impl SubmissionError {
    /// An error of the library.
    pub fn library(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Library(Box::new(error))
    }
}
