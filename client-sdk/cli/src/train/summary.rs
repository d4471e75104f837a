//! What a training came to, for programs and for people.

use serde::Serialize;
use sphinx_client::ModelId;
use sphinx_client::recipe::Recipe;
use sphinx_client::workspace::Trained;
use sphinx_privacy::Delta;

use crate::epsilon::{self, EpsilonFields, NONE_PROVEN};
use crate::numbers::{per_image, percent, seconds};
use crate::output::program;
use crate::recipes::accuracy;

/// The final summary as JSON.
#[derive(Debug, Serialize)]
pub struct Summary {
    model: String,
    /// The recipe that was followed, with or without changes.
    recipe: Option<String>,
    version: u64,
    steps: u64,
    epochs: f64,
    train_loss: Option<f64>,
    train_accuracy: Option<f64>,
    #[serde(flatten)]
    bounds: EpsilonFields,
    /// Why there is no ε, if there is none.
    epsilon_note: Option<&'static str>,
    delta: f64,
    budget_exhausted: bool,
    /// The averaged parameters became the model.
    averaged: bool,
    interrupted: bool,
    seconds: f64,
    images: u64,
    ms_per_image: f64,
    bytes_up_per_image: f64,
    bytes_down_per_image: f64,
}

impl Summary {
    pub fn new(
        model: &ModelId,
        recipe: Option<&Recipe>,
        delta: Delta,
        trained: &Trained,
        interrupted: bool,
    ) -> Self {
        let Trained { summary, history, images, .. } = trained;
        let last = history.last();
        let per_image = 1.0 / (*images).max(1) as f64;
        Self {
            model: model.to_string(),
            recipe: recipe.map(|recipe| recipe.name.clone()),
            version: summary.version,
            steps: summary.steps,
            epochs: trained.epochs,
            train_loss: last.map(|epoch| epoch.loss),
            train_accuracy: last.map(|epoch| epoch.train_accuracy),
            bounds: summary.epsilon.into(),
            epsilon_note: summary.epsilon.is_none().then_some(NONE_PROVEN),
            delta: delta.get(),
            budget_exhausted: summary.budget_exhausted,
            averaged: summary.averaged,
            interrupted,
            seconds: summary.elapsed.as_secs_f64(),
            images: *images,
            ms_per_image: summary.elapsed.as_secs_f64() * 1e3 * per_image,
            bytes_up_per_image: summary.traffic.up as f64 * per_image,
            bytes_down_per_image: summary.traffic.down as f64 * per_image,
        }
    }
}

/// What people read.
pub fn text(model: &ModelId, recipe: Option<&Recipe>, delta: Delta, trained: &Trained) -> String {
    let Trained { summary, history, images, .. } = trained;
    let elapsed = summary.elapsed.as_secs_f64();
    let (steps, epochs) = (summary.steps, trained.epochs);
    let mut text = format!(
        "\nmodel {model} is at version {} after {steps} steps ({epochs:.2} epochs) in {}\n",
        summary.version,
        seconds(elapsed)
    );
    if summary.averaged {
        text += "            its parameters are the averages of this training's\n";
    }
    if let Some(epoch) = history.last() {
        let (loss, accuracy) = (epoch.loss, percent(epoch.train_accuracy));
        text += &format!("last epoch  loss {loss:.3}, {accuracy} of the training images\n");
    }
    text += &format!("privacy     {}\n", epsilon::text(summary.epsilon, delta));
    if summary.budget_exhausted {
        text += "            the budget is spent; a larger --epsilon allows more steps\n";
    }
    let ms = elapsed * 1e3 / (*images).max(1) as f64;
    text += &format!("cost        {ms:.2} ms, {}\n", per_image(summary.traffic, *images));
    if let Some(Recipe { name, published: Some(published), .. }) = recipe {
        text +=
            &format!("published   {} of the test images by recipe {name}\n", accuracy(published));
    }
    let sphinx = program();
    text += &format!("\ntest it         {sphinx} evaluate {model}\n");
    text += &format!("train further   {sphinx} train --model {model}\n");
    text += &format!("bring it home   {sphinx} models export {model}");
    text
}
