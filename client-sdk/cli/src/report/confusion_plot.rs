//! Heat map of the confusion matrix.

use super::RunReport;
use super::chart::{Anchor, page, rectangle, text, upright_text};
use super::confusion_text::recall;

const CELL: f64 = 46.0;
const LEFT: f64 = 84.0;
const TOP: f64 = 108.0;
const WIDTH: f64 = LEFT + 10.0 * CELL + 92.0;
const HEIGHT: f64 = TOP + 10.0 * CELL + 26.0;

/// An SVG of the counts, blue for recognised and orange for mistaken.
pub(super) fn confusion_plot(report: &RunReport) -> String {
    let right = LEFT + 10.0 * CELL;
    let middle = LEFT + 5.0 * CELL;
    let title = format!("{}: {:.2} % of test images", report.network, 100.0 * report.test_accuracy);
    let mut document = page(WIDTH, HEIGHT, &format!("Confusion matrix of {}", report.network))
        .add(text("title", (LEFT, 34.0), Anchor::Start, title))
        .add(text("ink", (middle, 72.0), Anchor::Middle, "predicted digit"))
        .add(upright_text("ink", (34.0, TOP + 5.0 * CELL), "true digit"))
        .add(text("ink", (right + 76.0, TOP - 10.0), Anchor::End, "recall"));
    for (digit, row) in report.confusion.iter().enumerate() {
        let at = digit as f64 * CELL;
        let baseline = TOP + at + CELL / 2.0 + 4.5;
        document = document
            .add(text("muted", (LEFT + at + CELL / 2.0, TOP - 10.0), Anchor::Middle, label(digit)))
            .add(text("muted", (LEFT - 14.0, baseline), Anchor::End, label(digit)));
        if let Some(recall) = recall(row, digit) {
            let recall = format!("{:.2} %", 100.0 * recall);
            document = document.add(text("muted", (right + 76.0, baseline), Anchor::End, recall));
        }
        let total: u64 = row.iter().sum();
        for (predicted, &count) in row.iter().enumerate() {
            let x = LEFT + predicted as f64 * CELL;
            let strength = strength(count, total, predicted == digit);
            let colour = match (count, predicted == digit) {
                (0, _) => "empty",
                (_, true) => "right",
                (_, false) => "wrong",
            };
            let opacity = if count == 0 { 1.0 } else { (strength * 1000.0).round() / 1000.0 };
            let cell = rectangle(colour, (x + 1.0, TOP + at + 1.0), (CELL - 2.0, CELL - 2.0));
            document = document.add(cell.set("rx", 3).set("fill-opacity", opacity));
            if count > 0 {
                let class = if strength > 0.6 { "on-strong" } else { "ink" };
                let centre = (x + CELL / 2.0, baseline);
                document = document.add(text(class, centre, Anchor::Middle, count.to_string()));
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

fn label(digit: usize) -> String {
    digit.to_string()
}
