//! Recognise: a drawing or a picture, interactively and in one shot.

use std::path::Path as FilePath;
use std::sync::Arc;
use std::time::Instant;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use sphinx_client::ModelId;
use sphinx_client::data::{Picture, Pipeline, pixels};
use sphinx_client::recognition::Prediction;

use crate::app::App;
use crate::error::StudioError;
use crate::layout::{self, Place, bytes};

/// Probability below which an answer is called unsure.
const SURE: f32 = 0.6;
/// What a picture of the browser is called in errors.
const PICTURE: &str = "the picture";

#[derive(Deserialize)]
pub struct View {
    model: Option<String>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Query(View { model }): Query<View>,
) -> Result<Markup, StudioError> {
    let models = app.workspace.client().list_models().await?;
    let trained: Vec<_> = models.iter().filter(|model| model.version > 0).collect();
    Ok(layout::page(
        Place::Recognise,
        &html! {
            @if trained.is_empty() {
                p { "There is no trained model yet: " a href="/train" { "train one" } " first." }
            } @else {
                div.columns #recognise {
                    section aria-labelledby="draw" {
                        h2 #draw { "Draw a digit, or drop a picture" }
                        label { "Model" select #model { @for one in &trained {
                            option value=(one.model_id)
                                selected[model.as_deref() == Some(one.model_id.as_str())] {
                                (one.model_id) " (" (one.network.name) ", version " (one.version) ")" }
                        } } }
                        canvas #pad width="280" height="280" tabindex="0" role="img"
                            aria-label="Drawing area. Arrow keys move the pen, space puts it down or lifts it." {}
                        p.buttons {
                            button #ask { "Recognise" }
                            button #clear.second { "Clear" }
                            label.file { "Picture…" input #file type="file" accept="image/*"; }
                        }
                        label.check { input #also-one-shot type="checkbox"; " also in one shot, for comparison" }
                    }
                    section aria-labelledby="answer" {
                        h2 #answer { "Answers" }
                        div #interactive role="status" { p.quiet { "Nothing asked yet." } }
                        div #one-shot role="status" {}
                    }
                }
            }
        },
    ))
}

/// An answer for the script.
#[derive(Serialize)]
pub struct Answer {
    kind: &'static str,
    class: String,
    unsure: bool,
    classes: Vec<(String, f32)>,
    milliseconds: f64,
    up: String,
    down: String,
}

impl Answer {
    fn new(
        kind: &'static str,
        pipeline: &Pipeline,
        prediction: &Prediction,
        (milliseconds, up, down): (f64, u64, u64),
    ) -> Self {
        let names = pipeline.classes.names().iter().cloned();
        Self {
            kind,
            class: pipeline.classes.names().get(prediction.class).cloned().unwrap_or_default(),
            unsure: prediction.is_unsure(SURE),
            classes: names.zip(prediction.probabilities.iter().copied()).collect(),
            milliseconds,
            up: bytes(up),
            down: bytes(down),
        }
    }
}

/// A picture as the network gets it.
fn prepared(pipeline: &Pipeline, picture: &[u8]) -> Result<Vec<f32>, StudioError> {
    let called = FilePath::new(PICTURE);
    Ok(pixels(&pipeline.levels(Picture::decode(picture, called)?, called)?))
}

/// Opens a model and its tickets ahead of the first question.
pub async fn prepare(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
) -> Result<Json<()>, StudioError> {
    app.supply(&ModelId::parse(model)?).await?;
    Ok(Json(()))
}

pub async fn interactive(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
    picture: Bytes,
) -> Result<Json<Answer>, StudioError> {
    let model = ModelId::parse(model)?;
    let supply = app.supply(&model).await?;
    let recogniser = supply.recogniser();
    let (network, sealed) = (recogniser.network(), recogniser.pipeline());
    let pipeline = app.workspace.pipeline(&model, network, sealed)?;
    let image = prepared(&pipeline, &picture)?;
    let ticket = supply.ticket().await?;
    let (begun, before) = (Instant::now(), recogniser.traffic());
    let prediction = recogniser.infer(ticket, &image).await?;
    let (milliseconds, now) = (begun.elapsed().as_secs_f64() * 1e3, recogniser.traffic());
    let cost = (milliseconds, now.up - before.up, now.down - before.down);
    Ok(Json(Answer::new("interactive", &pipeline, &prediction, cost)))
}

pub async fn one_shot(
    State(app): State<Arc<App>>,
    Path(model): Path<String>,
    picture: Bytes,
) -> Result<Json<Answer>, StudioError> {
    let model = ModelId::parse(model)?;
    let one_shot = Box::pin(app.one_shot(&model)).await?;
    let pipeline = app.workspace.pipeline(&model, one_shot.network(), one_shot.pipeline())?;
    let image = prepared(&pipeline, &picture)?;
    let begun = Instant::now();
    let request = one_shot.request(&image, &mut sphinx_client::secure_rng())?;
    let up = request.message_bytes() as u64;
    let answer = one_shot.answer(request).await?;
    let down = answer.message_bytes() as u64;
    let prediction = one_shot.decrypt(answer)?;
    let cost = (begun.elapsed().as_secs_f64() * 1e3, up, down);
    Ok(Json(Answer::new("one shot", &pipeline, &prediction, cost)))
}
