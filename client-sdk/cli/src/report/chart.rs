//! What the plots share: colours for light and dark, and elements by class.
//!
//! The plots are SVG with their own style sheet, because only that follows the viewer's colour
//! scheme; no font is needed to write them.

use svg::Document;
use svg::node::element::{Group, Line, Rectangle, Style, Text, Title};

/// Colours of every class; presentation for a light page, then the changes for a dark one.
const STYLE: &str = "
text { font-family: system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif; font-size: 13px; }
.paper { fill: #ffffff; }
.ink { fill: #1f2328; }
.muted { fill: #59636e; }
.title { fill: #1f2328; font-size: 16px; font-weight: 600; }
.grid { stroke: #d1d9e0; stroke-width: 1; }
.line { fill: none; stroke-width: 2.5; stroke-linejoin: round; stroke-linecap: round; }
.test { stroke: #0969da; } .test-fill { fill: #0969da; }
.train { stroke: #6fb0f2; stroke-dasharray: 7 5; } .train-fill { fill: #6fb0f2; }
.loss { stroke: #bc4c00; } .loss-fill { fill: #bc4c00; }
.right { fill: #0969da; } .wrong { fill: #bc4c00; } .empty { fill: #f6f8fa; }
.on-strong { fill: #ffffff; }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117; }
.ink { fill: #f0f6fc; }
.muted { fill: #9198a1; }
.title { fill: #f0f6fc; }
.grid { stroke: #3d444d; }
.test { stroke: #58a6ff; } .test-fill { fill: #58a6ff; }
.train { stroke: #2f6db5; } .train-fill { fill: #2f6db5; }
.loss { stroke: #f0883e; } .loss-fill { fill: #f0883e; }
.right { fill: #58a6ff; } .wrong { fill: #f0883e; } .empty { fill: #161b22; }
.on-strong { fill: #0d1117; }
}
";

/// Where a text is attached to its point.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// An empty page; `description` is what a screen reader says.
pub(super) fn page(width: f64, height: f64, description: &str) -> Document {
    Document::new()
        .set("viewBox", (0, 0, width, height))
        .set("width", width)
        .set("height", height)
        .set("role", "img")
        .add(Title::new(description))
        .add(Style::new(STYLE))
        .add(rectangle("paper", (0.0, 0.0), (width, height)).set("rx", 8))
}

/// Text whose baseline starts, centres or ends at `at`.
pub(super) fn text(
    class: &str,
    at: (f64, f64),
    anchor: Anchor,
    content: impl Into<String>,
) -> Text {
    let anchor = match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    };
    Text::new(content)
        .set("class", class)
        .set("x", round(at.0))
        .set("y", round(at.1))
        .set("text-anchor", anchor)
}

/// Text that reads upwards, centred at `at`.
pub(super) fn upright_text(class: &str, at: (f64, f64), content: &str) -> Group {
    let place = format!("translate({} {}) rotate(-90)", round(at.0), round(at.1));
    Group::new().set("transform", place).add(text(class, (0.0, 0.0), Anchor::Middle, content))
}

pub(super) fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> Line {
    Line::new()
        .set("class", class)
        .set("x1", round(from.0))
        .set("y1", round(from.1))
        .set("x2", round(to.0))
        .set("y2", round(to.1))
}

pub(super) fn rectangle(class: &str, at: (f64, f64), size: (f64, f64)) -> Rectangle {
    Rectangle::new()
        .set("class", class)
        .set("x", round(at.0))
        .set("y", round(at.1))
        .set("width", round(size.0))
        .set("height", round(size.1))
}

/// Hundredths of a pixel: shorter files, no visible difference.
pub(super) fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// ε and δ in words.
pub(super) fn privacy(epsilon: Option<f64>, delta: Option<f64>) -> String {
    match (epsilon, delta) {
        (Some(epsilon), Some(delta)) => format!("ε = {epsilon:.2} at δ = {delta:e}"),
        (Some(epsilon), None) => format!("ε = {epsilon:.2}"),
        (None, _) => "no differential privacy".to_owned(),
    }
}
