//! What the cloud sees: plaintext on the left, the bytes that left on the right.

use std::io::Cursor;
use std::sync::Arc;

use axum::extract::{Path, State};
use axum::response::IntoResponse;
use image::{GrayImage, ImageFormat, Luma};
use maud::{Markup, html};

use crate::app::App;
use crate::error::StudioError;
use crate::histogram::Histogram;
use crate::layout::{self, Place, bytes};
use crate::pages::data::png;
use crate::record::Crossing;

/// Images of a training step across and down.
const ACROSS: u32 = 6;
const DOWN: u32 = 4;
/// Side of the picture of bytes.
const SIDE: u32 = 160;
/// Bars of a histogram.
const BARS: usize = 64;
/// Who holds what: this machine first.
const HOLDERS: [(&str, &str, &str); 5] = [
    ("Images, labels, predictions", "yes", "never"),
    ("Secret key (the root that opens everything)", "yes", "never"),
    ("Keys of training steps and tickets, drawn afresh and used once", "yes", "never"),
    ("Evaluation keys (compute on ciphertexts, open none)", "yes", "yes, in the key vault"),
    ("Weights, made of noised gradients", "yes", "yes: differential privacy bounds what they tell"),
];

pub async fn page(State(app): State<Arc<App>>) -> Result<Markup, StudioError> {
    let (training, recognition) = (app.record.training(), app.record.recognition());
    Ok(layout::page(
        Place::Cloud,
        &html! {
            p.lead { "Left is what this machine knows. Right are the bytes that left it in their place, as they were sent: \
                      not an illustration. Without the key they are noise, and the test says so." }
            (crossing("training", "A training step", "Images of the last step, in the secret order of its slots", &training))
            (crossing("recognition", "A recognition", "The last image that was recognised", &recognition))
            section aria-labelledby="holders" {
                h2 #holders { "Who holds what" }
                table {
                    thead { tr { th scope="col" { "what" } th scope="col" { "this machine" } th scope="col" { "the cloud" } } }
                    tbody { @for (what, here, there) in HOLDERS {
                        tr { th scope="row" { (what) } td { (here) } td { (there) } }
                    } }
                }
                p { "The three services may be run by one curious operator: nothing above depends on their keeping apart." }
            }
        },
    ))
}

fn crossing(kind: &str, title: &str, caption: &str, crossing: &Crossing) -> Markup {
    let histogram = Histogram::of(&crossing.left);
    html! {
        section aria-labelledby=(kind) {
            h2 id=(kind) { (title) }
            @if crossing.left.is_empty() {
                p { "Nothing has left yet: " @if kind == "training" { a href="/train" { "train a model" } }
                    @else { a href="/recognise" { "recognise something" } } " and come back." }
            } @else {
                div.crossing {
                    figure {
                        img.pixels src=(format!("/cloud/{kind}/hidden")) width="288" alt=(caption);
                        figcaption { (caption) }
                    }
                    span.arrow aria-hidden="true" { "→" }
                    figure {
                        img.pixels src=(format!("/cloud/{kind}/left")) width="288"
                            alt="The bytes that left, a pixel each: even noise";
                        figcaption { "The first " (bytes(histogram.total())) " of " (bytes(crossing.bytes)) " that left, a pixel a byte" }
                    }
                    figure {
                        (bars(&histogram))
                        figcaption { (verdict(&histogram)) }
                    }
                }
            }
        }
    }
}

fn bars(histogram: &Histogram) -> Markup {
    html! {
        svg viewBox="0 0 320 160" width="320" role="img" aria-label="How often each value of a byte occurs" {
            @for (place, share) in histogram.bins(BARS).into_iter().enumerate() {
                rect.bar x=(place * 5) y=(format!("{:.1}", 150.0 - 140.0 * share)) width="4"
                    height=(format!("{:.1}", 140.0 * share)) {}
            }
            line.axis x1="0" y1="150.5" x2="320" y2="150.5" {}
        }
    }
}

fn verdict(histogram: &Histogram) -> String {
    match histogram.evenness() {
        Some(p) if p < 1e-6 => {
            format!("Uneven: χ² test of uniformity, p = {p:.1e}. Random bytes would not look so.")
        }
        Some(p) => format!(
            "Values of the bytes. χ² test of uniformity: p = {p:.2}, as random bytes have it (any p from 0 to 1 is \
             as likely)."
        ),
        None => format!("{} bytes are too few for a test of uniformity.", histogram.total()),
    }
}

pub async fn picture(
    State(app): State<Arc<App>>,
    Path((kind, part)): Path<(String, String)>,
) -> Result<impl IntoResponse, StudioError> {
    let crossing =
        if kind == "training" { app.record.training() } else { app.record.recognition() };
    let picture = if part == "hidden" { hidden(&crossing) } else { left(&crossing) };
    let mut bytes = Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| StudioError::Asked(format!("it cannot be drawn: {error}")))?;
    Ok(png(bytes.into_inner()))
}

/// Values as grey levels, each image a square: the pixels themselves, or features made of them.
fn hidden(crossing: &Crossing) -> GrayImage {
    let values = crossing.hidden.first().map_or(1, Vec::len).max(1);
    let side = (values as f64).sqrt().ceil() as u32;
    let alone = crossing.hidden.len() == 1;
    let (across, down) = if alone { (1, 1) } else { (ACROSS, DOWN) };
    let mut picture = GrayImage::new(across * (side + 1), down * (side + 1));
    for (place, image) in crossing.hidden.iter().enumerate() {
        let (left, top) = (place as u32 % across * (side + 1), place as u32 / across * (side + 1));
        for (index, value) in image.iter().enumerate() {
            let (x, y) = (left + index as u32 % side, top + index as u32 / side);
            let level = (value.abs().clamp(0.0, 1.0) * 255.0) as u8;
            if x < picture.width() && y < picture.height() {
                picture.put_pixel(x, y, Luma([level]));
            }
        }
    }
    picture
}

fn left(crossing: &Crossing) -> GrayImage {
    let side = ((crossing.left.len() as f64).sqrt() as u32).clamp(1, SIDE);
    GrayImage::from_fn(side, side, |x, y| {
        Luma([crossing.left.get((y * side + x) as usize).copied().unwrap_or_default()])
    })
}
