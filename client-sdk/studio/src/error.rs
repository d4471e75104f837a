//! What goes wrong, as a page and as an answer to the script.

use axum::Json;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use maud::{DOCTYPE, Markup, html};
use serde_json::json;
use sphinx_client::data::{DatasetError, PictureError};
use sphinx_client::{ClientError, WorkspaceError};

/// Why the studio cannot do something.
#[derive(Debug, thiserror::Error)]
pub enum StudioError {
    /// The SDK refuses.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// A picture cannot be read.
    #[error(transparent)]
    Picture(#[from] PictureError),
    /// There is nothing of that name.
    #[error("there is no {what} {name:?}")]
    Missing { what: &'static str, name: String },
    /// Something was asked that makes no sense.
    #[error("{0}")]
    Asked(String),
    /// A task ended unexpectedly.
    #[error("a task ended unexpectedly: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl StudioError {
    /// What is wrong and what to do, in a line.
    pub fn text(&self) -> String {
        let advice = if let Self::Workspace(error) = self { error.advice() } else { None };
        match advice {
            Some(advice) => format!("{self}; {advice}"),
            None => self.to_string(),
        }
    }
}

impl From<ClientError> for StudioError {
    fn from(error: ClientError) -> Self {
        Self::Workspace(error.into())
    }
}

impl From<DatasetError> for StudioError {
    fn from(error: DatasetError) -> Self {
        ClientError::from(error).into()
    }
}

impl From<sphinx_client::ConversionError> for StudioError {
    fn from(error: sphinx_client::ConversionError) -> Self {
        ClientError::from(error).into()
    }
}

impl IntoResponse for StudioError {
    fn into_response(self) -> Response {
        let status = match self {
            Self::Missing { .. } => StatusCode::NOT_FOUND,
            Self::Asked(_) | Self::Picture(_) => StatusCode::BAD_REQUEST,
            Self::Workspace(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Task(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        (status, Json(json!({ "error": self.text() }))).into_response()
    }
}

/// A page for who may not come in.
pub fn refusal(status: StatusCode, text: &str) -> (StatusCode, Markup) {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head { meta charset="utf-8"; title { "Sphinx studio" } }
            body { main { h1 { "Sphinx studio" } p { (text) } } }
        }
    };
    (status, page)
}
