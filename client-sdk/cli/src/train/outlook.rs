//! What is about to happen, for people.

use std::num::NonZeroUsize;

use sphinx_client::data::{Preparation, shown_text};
use sphinx_client::workspace::Estimate;

use crate::epsilon;

/// Classes that are named with their images.
const NAMED: usize = 12;

/// What people read before anything is made or spent, of a training over so many connections.
pub fn text(estimate: &Estimate, shards: NonZeroUsize) -> String {
    let [channels, height, width] = estimate.input;
    let counts = estimate.pipeline.classes.names().iter().zip(&estimate.images_per_class);
    let mut classes: Vec<String> =
        counts.take(NAMED).map(|(name, count)| format!("{} {count}", shown_text(name))).collect();
    if estimate.images_per_class.len() > NAMED {
        classes.push(format!("{} more classes", estimate.images_per_class.len() - NAMED));
    }
    let digits = estimate.pipeline.preparation == Preparation::Digit;
    let kind = if digits { ", pictures of digits" } else { "" };
    let up = indicatif::DecimalBytes(estimate.bytes_up);
    let down = indicatif::DecimalBytes(estimate.bytes_down);
    let privacy = match (&estimate.epsilon, estimate.noise_multiplier) {
        (Some(epsilon), Some(noise)) => {
            format!("{}, noise of {noise:.2} clipping norms", epsilon::bounds(epsilon))
        }
        (None, Some(_)) => "ε none proven: the biases' gradients are not noised".to_owned(),
        (_, None) => "none: the server sees exact gradients".to_owned(),
    };
    let spread = match (estimate.blocks, shards.get()) {
        (1, _) => String::new(),
        (blocks, 1) => format!(" in {blocks} blocks"),
        (blocks, shards) => format!(" in {blocks} blocks over {shards} connections"),
    };
    let mut text = format!(
        "data      {} images ({}), {} to test with\n\
         network   {}: takes {channels}x{height}x{width}{kind}, {} weights\n\
         training  {} epochs, {} steps of about {} images{spread}\n\
         privacy   {privacy}\n\
         traffic   about {up} up, at most {down} down",
        estimate.images,
        classes.join(", "),
        estimate.test_images,
        estimate.network,
        estimate.weights,
        estimate.epochs,
        estimate.steps,
        estimate.batch,
    );
    if let Some(warning) = estimate.warning() {
        text += "\n\n";
        text += &warning;
    }
    text
}
