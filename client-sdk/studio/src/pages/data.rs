//! Data: sets by class, their problems, their contact sheet, what is left of their budget.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use maud::{Markup, html};
use serde::{Deserialize, Serialize};
use sphinx_client::data::Dataset;
use sphinx_client::{ClientError, DataStatus, Delta, Target, defaults};
use sphinx_privacy::PlanError;

use crate::app::App;
use crate::error::StudioError;
use crate::layout::{self, Place, count, gauge};
use crate::sets::{MNIST, Set};

/// How long a page waits for images before it says so.
const PATIENCE: Duration = Duration::from_millis(250);
/// Images of a class on a page.
const SHOWN: usize = 60;

#[derive(Deserialize)]
pub struct View {
    set: Option<String>,
    class: Option<usize>,
}

pub async fn page(
    State(app): State<Arc<App>>,
    Query(View { set, class }): Query<View>,
) -> Result<Markup, StudioError> {
    let name = set.as_deref().unwrap_or(MNIST);
    let Some(set) = app.sets.get_within(name, PATIENCE).await? else {
        let wait = html! { p data-reload { "Reading the images of " (name) "…" } };
        return Ok(layout::page(Place::Data, &wait));
    };
    let status = spent(&app, name)?;
    Ok(layout::page(
        Place::Data,
        &html! {
            div.columns {
                section aria-labelledby="sets" {
                    h2 #sets { "Data sets" }
                    ul.plain {
                        @for one in app.sets.names() {
                            li { a href=(format!("/data?set={}", encoded(&one)))
                                aria-current=[(one == name).then_some("true")] { (one) } }
                        }
                    }
                    form data-post="/data" data-then="/data" {
                        label { "Open a folder or file"
                            input name="path" required placeholder="~/photos" autocomplete="off"; }
                        button { "Open" }
                    }
                }
                section aria-labelledby="set" {
                    h2 #set { (set.name) }
                    p.quiet { (set.place) }
                    p { (count(set.train.len())) " images to train on, "
                        @if let Some(images) = &set.validation { (count(images.len())) " to choose by, " }
                        (count(set.test.len())) " to test with, " (set.inspection.classes.len()) " classes." }
                    @match &status {
                        Some(status) => (budget(status)),
                        None => p { "No model was trained on it here: its whole budget is left." },
                    }
                    (problems(&set))
                }
            }
            section aria-labelledby="classes" {
                h2 #classes { "By class" }
                (classes(&set, class))
                @match class {
                    Some(class) => (gallery(&set, class)),
                    None => img.sheet src=(format!("/data/{}/sheet.png", encoded(name)))
                        alt=(format!("Some images of every class of {name}, a class in a row")); ,
                }
            }
        },
    ))
}

/// What models have spent of a set.
pub fn spent(app: &App, name: &str) -> Result<Option<DataStatus>, StudioError> {
    let delta = Delta::new(defaults::DELTA).map_err(|error| planned(error.into()))?;
    let sets = app.workspace.home().data_sets(delta)?;
    Ok(sets.into_iter().find(|set| set.name == name))
}

fn planned(error: PlanError) -> StudioError {
    ClientError::from(error).into()
}

/// The gauge of a set's budget, with a form for its cap.
pub fn budget(status: &DataStatus) -> Markup {
    html! {
        @match &status.spent {
            Ok(spent) => p { (gauge(spent.proven(), status.cap.map(|cap| cap.epsilon()))) },
            Err(error) => p { "No ε is proven: " (error) },
        }
        form data-post=(format!("/data/{}/cap", encoded(&status.name))) data-then="" {
            label { "Cap on ε for all models together"
                input name="epsilon" inputmode="decimal" value=[status.cap.map(|cap| cap.epsilon())]; }
            button { "Set" }
        }
    }
}

fn problems(set: &Set) -> Markup {
    let found = &set.inspection;
    let mut lines = found.notes.clone();
    let mut say = |wrong: bool, text: String| {
        if wrong {
            lines.push(text)
        }
    };
    say(found.duplicates > 0, format!("{} images are there more than once.", found.duplicates));
    say(
        found.tested_on_training > 0,
        format!("{} images to test with are also trained on.", found.tested_on_training),
    );
    say(
        found.contradictions > 0,
        format!("{} images are in the set under two labels.", found.contradictions),
    );
    say(found.likely_transposed, "Rows and columns are likely exchanged.".to_owned());
    if let Some(imbalance) = found.imbalance.filter(|imbalance| *imbalance >= 3.0) {
        lines.push(format!(
            "The largest class has {imbalance:.1} times the images of the smallest."
        ));
    }
    lines.extend(found.unreadable.iter().map(|file| format!("Left out: {file}")));
    html! {
        h3 { "Problems" }
        @if lines.is_empty() { p { "None found." } } @else {
            ul { @for line in lines { li { (line) } } }
        }
    }
}

fn classes(set: &Set, chosen: Option<usize>) -> Markup {
    let most = set.inspection.classes.iter().map(|class| class.train).max().unwrap_or(1).max(1);
    html! {
        table.bars {
            thead { tr { th scope="col" { "class" } th scope="col" { "to train on" } th scope="col" { "to test with" } } }
            tbody { @for (number, class) in set.inspection.classes.iter().enumerate() {
                tr {
                    th scope="row" {
                        a href=(format!("/data?set={}&class={number}", encoded(&set.name)))
                            aria-current=[(chosen == Some(number)).then_some("true")] { (class.name) }
                    }
                    td { meter max=(most) value=(class.train) aria-hidden="true" {} " " (count(class.train)) }
                    td { (count(class.test)) }
                }
            } }
        }
    }
}

fn gallery(set: &Set, class: usize) -> Markup {
    let labels = set.train.labels().iter().enumerate();
    let of_class = labels.filter(|(_, label)| usize::from(**label) == class).take(SHOWN);
    let name = set.inspection.classes.get(class).map_or("", |class| &class.name);
    html! {
        h3 { "Images of " (name) }
        div.gallery {
            @for (index, _) in of_class {
                img src=(format!("/data/{}/train/{index}", encoded(&set.name)))
                    alt=(format!("image {index}, {name}")) loading="lazy" width="56" height="56";
            }
        }
    }
}

#[derive(Deserialize)]
pub struct Opening {
    path: String,
}

/// Where to go on.
#[derive(Serialize)]
pub struct Opened {
    next: String,
}

pub async fn open(
    State(app): State<Arc<App>>,
    Json(Opening { path }): Json<Opening>,
) -> Result<Json<Opened>, StudioError> {
    let path = match path.strip_prefix("~/").zip(std::env::var_os("HOME")) {
        Some((rest, home)) => std::path::Path::new(&home).join(rest).to_string_lossy().into_owned(),
        None => path,
    };
    let set = app.sets.open(&path).await?;
    Ok(Json(Opened { next: format!("/data?set={}", encoded(&set.name)) }))
}

#[derive(Deserialize)]
pub struct Cap {
    epsilon: String,
}

pub async fn cap(
    State(app): State<Arc<App>>,
    Path(name): Path<String>,
    Json(Cap { epsilon }): Json<Cap>,
) -> Result<Json<Opened>, StudioError> {
    let text = epsilon.trim();
    let target = if text.is_empty() {
        None
    } else {
        let wrong = || StudioError::Asked(format!("{text:?} is no number such as 3.5"));
        let epsilon: f64 = text.parse().map_err(|_| wrong())?;
        let delta = Delta::new(defaults::DELTA).map_err(|error| planned(error.into()))?;
        Some(Target::new(epsilon, delta).map_err(|error| planned(error.into()))?)
    };
    app.workspace.home().cap_data(&name, target)?;
    Ok(Json(Opened { next: format!("/data?set={}", encoded(&name)) }))
}

pub async fn sheet(
    State(app): State<Arc<App>>,
    Path(set): Path<String>,
) -> Result<impl IntoResponse, StudioError> {
    Ok(png(app.sets.get(&set).await?.sheet.clone()))
}

pub async fn image(
    State(app): State<Arc<App>>,
    Path((set, split, image)): Path<(String, String, usize)>,
) -> Result<impl IntoResponse, StudioError> {
    let set = app.sets.get(&set).await?;
    let images: &Dataset = if split == "test" { &set.test } else { &set.train };
    let missing = || StudioError::Missing { what: "image", name: image.to_string() };
    Ok(png(images.png(image).ok_or_else(missing)?))
}

/// A picture as an answer.
pub fn png(bytes: Vec<u8>) -> impl IntoResponse {
    ([(CONTENT_TYPE, "image/png")], bytes)
}

/// A name as a part of an address.
pub fn encoded(name: &str) -> String {
    let mut text = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text += &format!("%{byte:02X}");
        }
    }
    text
}
