//! What both sides of the submission agree on: where files lie, the model, and how it is computed
//! with.

mod error;
mod instance;
mod model;

pub use error::SubmissionError;
pub use instance::{Instance, program};
pub use model::Model;

/// The result of a stage.
pub type Outcome<T> = Result<T, SubmissionError>;
