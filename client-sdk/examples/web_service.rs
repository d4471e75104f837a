//! A web service that recognises: pictures in, classes out, for programs that know nothing of
//! Sphinx. The service keeps the key of the model; the cloud behind it sees no picture.
//!
//! `cargo run --release -p sphinx-client --example web_service -- MODEL [PORT]`
//!
//! `curl --data-binary @seven.png http://127.0.0.1:8080/recognise`

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use sphinx_client::data::{Picture, Pipeline, pixels};
use sphinx_client::tickets::{SupplyOptions, TicketSupply};
use sphinx_client::{Endpoints, ModelId, Workspace};
use tokio::net::TcpListener;

/// A supply of tickets, which many requests share, and what pictures become.
struct App {
    supply: TicketSupply,
    pipeline: Pipeline,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let model_id = ModelId::parse(arguments.next().ok_or("which model?")?)?;
    let port: u16 = arguments.next().map_or(Ok(8080), |port| port.parse())?;
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    let supply = workspace.ticket_supply(&model_id, SupplyOptions::default()).await?;
    let recogniser = supply.recogniser();
    let pipeline = workspace.pipeline(&model_id, recogniser.network(), recogniser.pipeline())?;
    let app = Arc::new(App { supply, pipeline });
    let router = Router::new().route("/recognise", post(recognise)).with_state(Arc::clone(&app));
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    println!("http://{}/recognise", listener.local_addr()?);
    let stopped = async { drop(tokio::signal::ctrl_c().await) };
    axum::serve(listener, router).with_graceful_shutdown(stopped).await?;
    // Tickets that were taken in advance go back to the store.
    app.supply.close().await?;
    Ok(())
}

async fn recognise(
    State(app): State<Arc<App>>,
    picture: Bytes,
) -> Result<Json<Value>, (StatusCode, String)> {
    let called = Path::new("the picture");
    let unusable = |error: &dyn Error| (StatusCode::BAD_REQUEST, error.to_string());
    let picture = Picture::decode(&picture, called).map_err(|error| unusable(&error))?;
    let levels = app.pipeline.levels(picture, called).map_err(|error| unusable(&error))?;
    let seen = app.supply.infer(&pixels(&levels)).await;
    let seen = seen.map_err(|error| (StatusCode::BAD_GATEWAY, error.to_string()))?;
    let class = &app.pipeline.classes.names()[seen.class];
    Ok(Json(json!({ "class": class, "probability": seen.probability() })))
}
