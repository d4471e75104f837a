//! The page that Prometheus reads, on a port of its own.

use std::convert::Infallible;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::net::TcpListener;

use super::Metrics;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Answers `GET /metrics`, and nothing else, for as long as the service runs. Without a listener
/// nothing is answered.
pub(crate) async fn serve(listener: Option<TcpListener>, metrics: Metrics) -> Infallible {
    let Some(listener) = listener else { return std::future::pending().await };
    let pages = Router::new().route("/metrics", get(page)).with_state(metrics);
    if let Err(error) = axum::serve(listener, pages).await {
        tracing::error!(%error, "metrics are not served any more");
    }
    std::future::pending().await
}

async fn page(State(metrics): State<Metrics>) -> Response {
    match metrics.text() {
        Ok(text) => ([(CONTENT_TYPE, OPEN_METRICS)], text).into_response(),
        Err(error) => {
            tracing::error!(%error, "metrics cannot be written");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}
