//! What a trained model makes of the images that were held back from its training.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde::Serialize;
use sphinx_client::data::Dataset;
use sphinx_client::workspace::{Confusion, Evaluation};

use crate::app::App;
use crate::error::StudioError;
use crate::layout::count;
use crate::runs::{Run, State as RunState};
use crate::sets::Set;

/// Confusions that are named.
const NAMED: usize = 3;

/// How many were recognised, in a sentence.
#[derive(Serialize)]
pub struct Told {
    text: String,
}

/// Recognises all test images by the interactive protocol, with tickets of their own.
pub async fn test(
    State(app): State<Arc<App>>,
    Path(run): Path<usize>,
) -> Result<Json<Told>, StudioError> {
    let (run, set) = idle(&app, run).await?;
    if set.test.is_empty() {
        let text = format!("no image of {} was held back: put some into a folder test/", run.set);
        return Err(StudioError::Asked(text));
    }
    let kind = if set.validation.is_some() { TESTED_LAST } else { TESTED };
    recognise(&app, &run, &set.test, kind).await
}

/// The same with the images to choose among trainings by.
pub async fn validate(
    State(app): State<Arc<App>>,
    Path(run): Path<usize>,
) -> Result<Json<Told>, StudioError> {
    let (run, set) = idle(&app, run).await?;
    let Some(images) = set.validation.as_ref().filter(|images| !images.is_empty()) else {
        let text = format!("{} has no validation images: put some into a folder val/", run.set);
        return Err(StudioError::Asked(text));
    };
    recognise(&app, &run, images, VALIDATED).await
}

/// What the images are, and what to mind.
type Kind = (&'static str, &'static str);
const VALIDATED: Kind = ("validation images", "Choose among trainings by these.");
const TESTED: Kind = (
    "images that were held back",
    "Choosing among trainings by them makes the figure of the chosen one too good.",
);
const TESTED_LAST: Kind =
    ("images that were held back", "Look at them once, after choosing by the validation images.");

/// A training that is over, and its images.
async fn idle(app: &App, run: usize) -> Result<(Arc<Run>, Arc<Set>), StudioError> {
    let run = app.runs.get(run)?;
    if run.state() == RunState::Running {
        let text = format!("{} is being trained: stop that or wait for it", run.order.model_id);
        return Err(StudioError::Asked(text));
    }
    let set = app.sets.get(&run.set).await?;
    Ok((run, set))
}

async fn recognise(
    app: &App,
    run: &Run,
    images: &Dataset,
    kind: Kind,
) -> Result<Json<Told>, StudioError> {
    let model = &run.order.model_id;
    let evaluation = Box::pin(app.workspace.evaluate(model, images, |_| ())).await?;
    let text = sentence(&evaluation, kind);
    run.keep_result(text.clone());
    Ok(Json(Told { text }))
}

fn sentence(evaluation: &Evaluation, (kind, mind): Kind) -> String {
    let images = usize::try_from(evaluation.images).unwrap_or(usize::MAX);
    let mut text = format!(
        "Version {} recognises {:.2} % of {} {kind}, in {:.1} s.",
        evaluation.version,
        1e2 * evaluation.accuracy,
        count(images),
        evaluation.seconds,
    );
    let mistakes: Vec<String> = confusions(&evaluation.confusion)
        .into_iter()
        .map(|(truth, said, images)| format!("{truth} for {said} ({images})"))
        .collect();
    if !mistakes.is_empty() {
        text = format!("{text} Taken most often: {}.", mistakes.join(", "));
    }
    format!("{text} {mind}")
}

/// The most frequent mistakes, each as the right class, the one named instead, and how often.
fn confusions(confusion: &Confusion) -> Vec<(&str, &str, u64)> {
    let names = confusion.classes().names();
    let mut found: Vec<(&str, &str, u64)> = Vec::new();
    for (row, truth) in confusion.counts().iter().zip(names) {
        let wrong = row.iter().zip(names).filter(|(images, said)| **images > 0 && *said != truth);
        found.extend(wrong.map(|(images, said)| (truth.as_str(), said.as_str(), *images)));
    }
    found.sort_by_key(|(_, _, images)| std::cmp::Reverse(*images));
    found.truncate(NAMED);
    found
}

#[cfg(test)]
mod tests {
    use sphinx_client::data::Classes;

    use super::*;

    #[test]
    fn the_most_frequent_mistakes_come_first() {
        let mut confusion = Confusion::new(Classes::named(["cat", "dog", "fox"]));
        for (truth, said, images) in [(0, 0, 90), (0, 1, 2), (1, 1, 70), (1, 2, 9), (2, 0, 5)] {
            confusion.add(truth, said, images);
        }
        confusion.add(2, 1, 1);
        let expected = [("dog", "fox", 9), ("fox", "cat", 5), ("cat", "dog", 2)];
        assert_eq!(confusions(&confusion), expected);
    }
}
