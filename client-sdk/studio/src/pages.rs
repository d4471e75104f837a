//! The pages and what their script asks for.

mod cloud;
mod data;
mod held_back;
mod recognise;
mod train;
mod trust;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::response::Redirect;
use axum::routing::{get, post};

use crate::app::App;
use crate::assets;

/// Largest picture that is taken.
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// All routes.
pub fn router(app: Arc<App>) -> Router {
    Router::new()
        .route("/", get(|| async { Redirect::to("/data") }))
        .route("/assets/studio.css", get(assets::style))
        .route("/assets/studio.js", get(assets::script))
        .route("/data", get(data::page).post(data::open))
        .route("/data/{set}/sheet.png", get(data::sheet))
        .route("/data/{set}/{split}/{image}", get(data::image))
        .route("/data/{set}/cap", post(data::cap))
        .route("/train", get(train::page).post(train::start))
        .route("/train/estimate", post(train::estimate))
        .route("/runs/{run}/events", get(train::events))
        .route("/runs/{run}/stop", post(train::stop))
        .route("/runs/{run}/go-on", post(train::go_on))
        .route("/runs/{run}/test", post(held_back::test))
        .route("/runs/{run}/validate", post(held_back::validate))
        .route("/recognise", get(recognise::page))
        .route("/recognise/{model}", post(recognise::interactive))
        .route("/recognise/{model}/prepare", post(recognise::prepare))
        .route("/recognise/{model}/one-shot", post(recognise::one_shot))
        .route("/cloud", get(cloud::page))
        .route("/cloud/{kind}/{part}", get(cloud::picture))
        .route("/trust", get(trust::page))
        .route("/trust/{model}/verify", post(trust::verify))
        .layer(DefaultBodyLimit::max(MOST_BYTES))
        .with_state(app)
}
