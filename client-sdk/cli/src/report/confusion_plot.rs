//! Heat map of the confusion matrix.

use sphinx_client::data::Classes;

use super::RunReport;
use super::chart::{Anchor, page, rectangle, text, upright_text};

const CELL: f64 = 46.0;
/// Left of the cells, beside a name of one letter.
const LEFT: f64 = 84.0;
/// Width of a further letter.
const LETTER: f64 = 8.0;
/// Letters of a name that fit over a column.
const SHORT: usize = 6;
const TOP: f64 = 108.0;

/// An SVG of the counts, blue for recognised and orange for mistaken.
pub(super) fn confusion_plot(report: &RunReport) -> String {
    let confusion = &report.confusion;
    let names = confusion.classes().names();
    let longest = names.iter().map(|name| name.chars().count()).max().unwrap_or(0);
    let left = LEFT + LETTER * longest.saturating_sub(1) as f64;
    let side = names.len() as f64 * CELL;
    let (right, middle) = (left + side, left + side / 2.0);
    let (width, height) = (right + 92.0, TOP + side + 26.0);
    let digits = *confusion.classes() == Classes::numbered(10);
    let class = if digits { "digit" } else { "class" };
    let title = format!("{}: {:.2} % of test images", report.network, 100.0 * report.test_accuracy);
    let mut document = page(width, height, &format!("Confusion matrix of {}", report.network))
        .add(text("title", (LEFT, 34.0), Anchor::Start, title))
        .add(text("ink", (middle, 72.0), Anchor::Middle, format!("predicted {class}")))
        .add(upright_text("ink", (34.0, TOP + side / 2.0), &format!("true {class}")))
        .add(text("ink", (right + 76.0, TOP - 10.0), Anchor::End, "recall"));
    for (class, (name, row)) in names.iter().zip(confusion.counts()).enumerate() {
        let at = class as f64 * CELL;
        let short: String = name.chars().take(SHORT).collect();
        let baseline = TOP + at + CELL / 2.0 + 4.5;
        document = document
            .add(text("muted", (left + at + CELL / 2.0, TOP - 10.0), Anchor::Middle, short))
            .add(text("muted", (left - 14.0, baseline), Anchor::End, name.as_str()));
        if let Some(recall) = confusion.recall(class) {
            let recall = format!("{:.2} %", 100.0 * recall);
            document = document.add(text("muted", (right + 76.0, baseline), Anchor::End, recall));
        }
        let total: u64 = row.iter().sum();
        for (predicted, &count) in row.iter().enumerate() {
            let x = left + predicted as f64 * CELL;
            let strength = strength(count, total, predicted == class);
            let colour = match (count, predicted == class) {
                (0, _) => "empty",
                (_, true) => "right",
                (_, false) => "wrong",
            };
            let opacity = if count == 0 { 1.0 } else { (strength * 1000.0).round() / 1000.0 };
            let cell = rectangle(colour, (x + 1.0, TOP + at + 1.0), (CELL - 2.0, CELL - 2.0));
            document = document.add(cell.set("rx", 3).set("fill-opacity", opacity));
            if count > 0 {
                let ink = if strength > 0.6 { "on-strong" } else { "ink" };
                let centre = (x + CELL / 2.0, baseline);
                document = document.add(text(ink, centre, Anchor::Middle, count.to_string()));
            }
        }
    }
    document.to_string()
}

/// Strength of a cell's colour, 0 to 1: the square root of its share of the true class, so that
/// rare errors show; a quarter of a class mistaken is full colour.
fn strength(count: u64, total: u64, recognised: bool) -> f64 {
    if total == 0 {
        return 0.0;
    }
    let share = (count as f64 / total as f64).sqrt();
    if recognised { share } else { (2.0 * share).min(1.0) }
}
