//! Train: choose images, network and budget; live curves; stop, go on, compare.

use std::convert::Infallible;
use std::num::NonZeroUsize;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, StreamExt, stream};
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use sphinx_client::recipe::Recipe;
use sphinx_client::workspace::{Order, OrderedNetwork, Ready};
use sphinx_client::{ModelId, NetworkSpec, Progress, defaults};

use crate::app::App;
use crate::error::StudioError;
use crate::layout::{self, Place, bytes, count};
use crate::pages::data;
use crate::runs::{Point, Run, State as RunState};

/// Curves of a run.
const CURVES: [(&str, &str); 5] = [
    ("loss", "Loss"),
    ("accuracy", "Accuracy"),
    ("epsilon", "ε spent"),
    ("images_per_second", "Images per second"),
    ("bytes", "Megabytes moved"),
];

#[derive(Deserialize)]
pub struct View {
    set: Option<String>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Query(View { set }): Query<View>,
) -> Result<Markup, StudioError> {
    let name = set.as_deref().unwrap_or(crate::sets::MNIST);
    let status = data::spent(&app, name)?;
    let runs = app.runs.all();
    Ok(layout::page(
        Place::Train,
        &html! {
            div.columns {
                section aria-labelledby="new" {
                    h2 #new { "New training" }
                    (form(&app, name))
                    p #estimate role="status" {}
                }
                section aria-labelledby="left" {
                    h2 #left { "Budget of " (name) }
                    @match &status {
                        Some(status) => (data::budget(status)),
                        None => p { "Nothing is spent yet." },
                    }
                    p.quiet { "ε bounds what anybody can learn about one image from all that leaves this machine. \
                               All models trained on the same images draw on one budget." }
                }
            }
            section aria-labelledby="runs" {
                h2 #runs { "Trainings" }
                @if runs.is_empty() { p { "None yet." } } @else {
                    @for run in runs.iter().rev() { (card(run)) }
                    @if runs.len() > 1 { (compared()) }
                }
            }
        },
    ))
}

fn compared() -> Markup {
    html! {
        h3 { "Compared" }
        div.charts {
            @for (key, title) in CURVES {
                figure { figcaption { (title) } svg.chart data-compare=(key) role="img"
                    viewBox="0 0 360 160" aria-label=(format!("{title} of all trainings")) {} }
            }
        }
    }
}

fn form(app: &App, set: &str) -> Markup {
    html! {
        form data-post="/train" data-then="/train" data-estimate="/train/estimate" {
            label { "Images"
                select name="set" { @for one in app.sets.names() {
                    option value=(one) selected[one == set] { (one) }
                } } }
            label { "Network or recipe"
                select name="network" {
                    option value="auto" { "automatic: one that fits the images" }
                    optgroup label="Recipes" { @for name in Recipe::builtin_names() {
                        option value=(format!("recipe:{name}")) { (name) }
                    } }
                    optgroup label="Networks" { @for name in NetworkSpec::builtin_names() {
                        option value=(name) { (name) }
                    } }
                } }
            label { "Name of the model" input name="model" required value="digits" autocomplete="off"; }
            label { "Budget ε: " output { (defaults::EPSILON) }
                input type="range" name="epsilon" min="0.5" max="10" step="0.5" value=(defaults::EPSILON); }
            label { "Epochs, or the usual number" input name="epochs" inputmode="decimal" autocomplete="off"; }
            label { "Connections to the trainers, or one" input name="shards" inputmode="numeric" autocomplete="off"; }
            button { "Train" }
        }
    }
}

fn card(run: &Run) -> Markup {
    let running = run.state() == RunState::Running;
    let number = run.number;
    html! {
        article.run data-run=(number) data-running[running] aria-labelledby=(format!("run-{number}")) {
            h3 id=(format!("run-{number}")) { span.dot data-colour=(number) {} (run.order.model_id) }
            p.quiet { (run.set) " · " (run.estimate.network) " · " (count(run.estimate.weights)) " weights · ε at most "
                (run.estimate.epsilon.map_or("–".to_owned(), |epsilon| format!("{:.2}", epsilon.proven()))) }
            progress max="1" value="0" aria-label="steps done" {}
            p.state {}
            div.charts {
                @for (key, title) in CURVES {
                    figure { figcaption { (title) ": " output data-last=(key) {} }
                        svg.chart data-curve=(key) role="img" viewBox="0 0 360 160" aria-label=(title) {} }
                }
            }
            p {
                @if running { button data-post=(format!("/runs/{number}/stop")) data-then="/train" { "Stop after this step" } }
                @else {
                    button data-post=(format!("/runs/{number}/go-on")) data-then="/train" { "Go on" } " "
                    @if run.validates {
                        button.second data-post=(format!("/runs/{number}/validate")) data-into=(format!("result-{number}")) {
                            "Try it on the validation images" } " "
                    }
                    button.second data-post=(format!("/runs/{number}/test")) data-into=(format!("result-{number}")) {
                        "Test with the images held back" }
                }
                " " a href=(format!("/recognise?model={}", run.order.model_id)) { "Recognise with it" }
            }
            p id=(format!("result-{number}")) role="status" { (run.result().unwrap_or_default()) }
        }
    }
}

/// A training as the form says it.
#[derive(Debug, Deserialize)]
pub struct Asked {
    set: String,
    network: String,
    model: String,
    epsilon: String,
    epochs: String,
    #[serde(default)]
    shards: String,
}

impl Asked {
    fn shards(&self) -> Result<NonZeroUsize, StudioError> {
        match self.shards.trim() {
            "" => Ok(NonZeroUsize::MIN),
            text => {
                let wrong = || StudioError::Asked(format!("{text:?} is no number of connections"));
                text.parse().map_err(|_| wrong())
            }
        }
    }

    fn order(&self) -> Result<Order, StudioError> {
        let number = |text: &str| -> Result<f64, StudioError> {
            let wrong = || StudioError::Asked(format!("{text:?} is no number such as 3.5"));
            text.trim().parse().map_err(|_| wrong())
        };
        let network = if self.network == "auto" {
            OrderedNetwork::Automatic
        } else if let Some(recipe) = self.network.strip_prefix("recipe:") {
            let recipe = Recipe::load(recipe).map_err(sphinx_client::WorkspaceError::from)?;
            OrderedNetwork::Recipe(Box::new(recipe))
        } else {
            let name = self.network.clone();
            let missing = || StudioError::Missing { what: "network", name };
            let spec = NetworkSpec::builtin(&self.network).ok_or_else(missing)?;
            OrderedNetwork::Network(Box::new(spec))
        };
        let epochs = self.epochs.trim();
        Ok(Order {
            model_id: ModelId::parse(self.model.trim())?,
            network,
            private: true,
            epsilon: Some(number(&self.epsilon)?),
            delta: None,
            epochs: (!epochs.is_empty()).then(|| number(epochs)).transpose()?,
            seed: None,
            data_name: Some(self.set.clone()),
            shards: self.shards()?,
        })
    }
}

/// What a training will take, in a sentence.
#[derive(Serialize)]
pub struct Told {
    text: String,
}

pub async fn estimate(
    State(app): State<Arc<App>>,
    Json(asked): Json<Asked>,
) -> Result<Json<Told>, StudioError> {
    let order = asked.order()?;
    if app.runs.is_busy(order.model_id.as_str()) {
        let text =
            format!("{} is being trained: give another name, or wait for it.", order.model_id);
        return Ok(Json(Told { text }));
    }
    let set = app.sets.get(&asked.set).await?;
    let images = (Arc::clone(&set.train), set.test.len());
    let estimate = app.workspace.estimate(&order, &set.pipeline, images).await?;
    let noise = estimate.noise_multiplier.unwrap_or_default();
    let mut text = format!(
        "{} steps of about {} images with noise of {noise:.2} clipping norms; about {} up, at most {} down.",
        estimate.steps,
        count(usize::try_from(estimate.batch).unwrap_or(usize::MAX)),
        bytes(estimate.bytes_up),
        bytes(estimate.bytes_down),
    );
    if let Some(warning) = estimate.warning() {
        text = format!("{text} {warning}");
    }
    Ok(Json(Told { text }))
}

pub async fn start(
    State(app): State<Arc<App>>,
    Json(asked): Json<Asked>,
) -> Result<impl IntoResponse, StudioError> {
    begin(&app, asked.order()?, &asked.set).await
}

/// The same training again: it goes on where it was stopped.
pub async fn go_on(
    State(app): State<Arc<App>>,
    Path(run): Path<usize>,
) -> Result<impl IntoResponse, StudioError> {
    let run = app.runs.get(run)?;
    begin(&app, run.order.clone(), &run.set).await
}

async fn begin(app: &App, order: Order, set: &str) -> Result<Json<Told>, StudioError> {
    if app.runs.is_busy(order.model_id.as_str()) {
        let text = format!("{} is being trained already: stop that first", order.model_id);
        return Err(StudioError::Asked(text));
    }
    let found = app.sets.get(set).await?;
    let images = (Arc::clone(&found.train), found.test.len());
    let ready = Box::pin(app.workspace.prepare(&order, &found.pipeline, images)).await?;
    let Ready { request, estimate, .. } = ready;
    let run = app.runs.start(app.workspace.client(), request, (order, &found, estimate));
    Ok(Json(Told { text: format!("Training {} has begun.", run.order.model_id) }))
}

pub async fn stop(
    State(app): State<Arc<App>>,
    Path(run): Path<usize>,
) -> Result<Json<Told>, StudioError> {
    app.runs.get(run)?.stop();
    Ok(Json(Told { text: "Stopping after the step at hand.".to_owned() }))
}

/// Every step from the first on, then how it ended. A page that was away, as behind a closed lid,
/// begins anew and misses nothing.
pub async fn events(
    State(app): State<Arc<App>>,
    Path(run): Path<usize>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, StudioError> {
    let run = app.runs.get(run)?;
    let steps = stream::unfold(run.watcher(), |mut watcher| async move {
        watcher.next().await.map(|step: Progress| (step, watcher))
    });
    let steps = steps.map(|step| event("step", &Point::from(step)));
    let end = stream::once(async move {
        // The last word comes a moment after the last step.
        while run.state() == RunState::Running {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        event("end", &run.state())
    });
    Ok(Sse::new(steps.chain(end).map(Ok)).keep_alive(KeepAlive::default()))
}

fn event(name: &str, value: &impl Serialize) -> Event {
    let data = serde_json::to_string(value).unwrap_or_default();
    Event::default().event(name).data(data)
}
