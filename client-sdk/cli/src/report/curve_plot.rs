//! Accuracy and loss against epochs.

use svg::Document;
use svg::node::element::{Circle, Group, Polyline};

use super::RunReport;
use super::chart::{Anchor, line, page, privacy, round, text, upright_text};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 440.0;
const LEFT: f64 = 74.0;
const RIGHT: f64 = WIDTH - 74.0;
const TOP: f64 = 92.0;
const BOTTOM: f64 = HEIGHT - 62.0;

/// An SVG of the history: accuracies on the left axis, loss on the right one. Values that are not
/// finite are left out.
pub(super) fn curve_plot(report: &RunReport) -> String {
    let history = &report.history;
    let points = |value: &dyn Fn(usize) -> Option<f64>| -> Vec<(f64, f64)> {
        (0..history.len())
            .filter_map(|i| Some((f64::from(history[i].epoch), value(i)?)))
            .filter(|(_, y)| y.is_finite())
            .collect()
    };
    let test = points(&|i| history[i].test_accuracy);
    let train = points(&|i| Some(history[i].train_accuracy));
    let loss = points(&|i| Some(history[i].loss));

    let epochs = Epochs::new(history.iter().map(|e| e.epoch));
    let lowest = test.iter().chain(&train).map(|p| p.1).fold(1.0, f64::min);
    let accuracy = Scale::accuracy(lowest);
    let losses = Scale::from_zero(loss.iter().map(|p| p.1).fold(0.0, f64::max));

    let description = format!("Accuracy and loss of {} against epochs", report.network);
    let mut document = page(WIDTH, HEIGHT, &description)
        .add(text("title", (LEFT, 34.0), Anchor::Start, format!("{}: training", report.network)))
        .add(text("muted", (RIGHT, 34.0), Anchor::End, subtitle(report)));
    document = axes(document, &epochs, &accuracy, &losses);
    let mut legend = Vec::new();
    for (class, name, series, scale) in [
        ("loss", "loss (right)", &loss, &losses),
        ("train", "training accuracy", &train, &accuracy),
        ("test", "test accuracy", &test, &accuracy),
    ] {
        if !series.is_empty() {
            document = document.add(curve(class, series, &epochs, scale));
            legend.push((class, name));
        }
    }
    legend.reverse();
    document.add(key(&legend)).to_string()
}

fn subtitle(report: &RunReport) -> String {
    let accuracy = 100.0 * report.test_accuracy;
    format!("{accuracy:.2} % on test images, {}", privacy(report.epsilon, report.delta))
}

/// The horizontal axis.
struct Epochs {
    first: f64,
    last: f64,
}

impl Epochs {
    fn new(epochs: impl Iterator<Item = u32>) -> Self {
        let (first, last) =
            epochs.fold((u32::MAX, 0), |(first, last), e| (first.min(e), last.max(e)));
        Self { first: f64::from(first.min(last)), last: f64::from(last) }
    }

    fn x(&self, epoch: f64) -> f64 {
        if self.last <= self.first {
            return f64::midpoint(LEFT, RIGHT);
        }
        // Room at the ends, so that the first and last points do not lie on the axes.
        let (left, right) = (LEFT + 14.0, RIGHT - 14.0);
        left + (epoch - self.first) / (self.last - self.first) * (right - left)
    }

    /// Whole epochs, at most a dozen.
    fn ticks(&self) -> Vec<f64> {
        let step = nice_step((self.last - self.first) / 11.0).max(1.0);
        let mut ticks = vec![self.first];
        let mut tick = (self.first / step).floor() * step + step;
        while tick <= self.last {
            if tick - self.first >= step * 0.6 {
                ticks.push(tick);
            }
            tick += step;
        }
        ticks
    }
}

/// A vertical axis from `low` to `high` in whole steps.
struct Scale {
    low: f64,
    step: f64,
    steps: u32,
}

impl Scale {
    /// Up to 100 %, from a round value below `lowest`.
    fn accuracy(lowest: f64) -> Self {
        let step = nice_step(((1.0 - lowest) / 5.0).clamp(0.002, 0.2));
        let steps = ((1.0 - lowest.max(0.0)) / step - 1e-9).ceil().max(1.0);
        Self { low: 1.0 - steps * step, step, steps: steps as u32 }
    }

    fn from_zero(highest: f64) -> Self {
        if highest <= 0.0 {
            return Self { low: 0.0, step: 1.0, steps: 1 };
        }
        let step = nice_step(highest / 5.0);
        Self { low: 0.0, step, steps: (highest / step - 1e-9).ceil() as u32 }
    }

    fn y(&self, value: f64) -> f64 {
        let share = (value - self.low) / (self.step * f64::from(self.steps));
        BOTTOM - share * (BOTTOM - TOP)
    }

    fn ticks(&self) -> impl Iterator<Item = f64> {
        (0..=self.steps).map(|i| self.low + f64::from(i) * self.step)
    }

    /// Digits after the point that tell the ticks apart.
    fn decimals(&self, unit: f64) -> usize {
        (-(self.step * unit).log10().floor()).max(0.0) as usize
    }
}

/// The least of 1, 2, 5 times a power of ten that is not below `least`.
fn nice_step(least: f64) -> f64 {
    if least <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(least.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|f| f * power >= least * (1.0 - 1e-9));
    factor.unwrap_or(10.0) * power
}

fn axes(mut document: Document, epochs: &Epochs, accuracy: &Scale, loss: &Scale) -> Document {
    for tick in accuracy.ticks() {
        let y = accuracy.y(tick);
        let label = format!("{:.*} %", accuracy.decimals(100.0), 100.0 * tick);
        document = document.add(line("grid", (LEFT, y), (RIGHT, y))).add(text(
            "muted",
            (LEFT - 10.0, y + 4.5),
            Anchor::End,
            label,
        ));
    }
    for tick in loss.ticks() {
        let y = loss.y(tick);
        let label = format!("{:.*}", loss.decimals(1.0), tick);
        document = document.add(line("grid", (RIGHT, y), (RIGHT + 5.0, y))).add(text(
            "muted",
            (RIGHT + 10.0, y + 4.5),
            Anchor::Start,
            label,
        ));
    }
    for tick in epochs.ticks() {
        let x = epochs.x(tick);
        document = document.add(line("grid", (x, BOTTOM), (x, BOTTOM + 5.0))).add(text(
            "muted",
            (x, BOTTOM + 21.0),
            Anchor::Middle,
            format!("{tick:.0}"),
        ));
    }
    let middle = (f64::midpoint(LEFT, RIGHT), f64::midpoint(TOP, BOTTOM));
    document
        .add(line("grid", (LEFT, TOP), (LEFT, BOTTOM)))
        .add(line("grid", (RIGHT, TOP), (RIGHT, BOTTOM)))
        .add(text("ink", (middle.0, HEIGHT - 16.0), Anchor::Middle, "epoch"))
        .add(upright_text("ink", (20.0, middle.1), "accuracy"))
        .add(upright_text("ink", (WIDTH - 12.0, middle.1), "cross-entropy loss"))
}

fn curve(class: &str, series: &[(f64, f64)], epochs: &Epochs, scale: &Scale) -> Group {
    let places: Vec<(f64, f64)> =
        series.iter().map(|(x, y)| (round(epochs.x(*x)), round(scale.y(*y)))).collect();
    let list: Vec<String> = places.iter().map(|(x, y)| format!("{x},{y}")).collect();
    let line = Polyline::new().set("class", format!("line {class}")).set("points", list.join(" "));
    let mut group = Group::new().add(line);
    for (x, y) in places {
        let dot = Circle::new().set("class", format!("{class}-fill"));
        group = group.add(dot.set("cx", x).set("cy", y).set("r", 3.5));
    }
    group
}

fn key(entries: &[(&str, &str)]) -> Group {
    let mut group = Group::new();
    for (i, (class, name)) in entries.iter().enumerate() {
        let x = LEFT + 180.0 * i as f64;
        let y = 64.0;
        group = group.add(line(&format!("line {class}"), (x, y), (x + 30.0, y))).add(text(
            "ink",
            (x + 39.0, y + 4.5),
            Anchor::Start,
            *name,
        ));
    }
    group
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_numbers_that_cover_the_values() {
        assert_eq!(nice_step(0.13), 0.2);
        assert_eq!(nice_step(0.5), 0.5);
        assert_eq!(nice_step(7.0), 10.0);
        let loss = Scale::from_zero(2.31);
        assert_eq!(loss.ticks().collect::<Vec<_>>(), [0.0, 0.5, 1.0, 1.5, 2.0, 2.5]);
        let accuracy = Scale::accuracy(0.873);
        assert!(accuracy.low <= 0.873 && accuracy.low > 0.8);
        assert!((accuracy.ticks().last().unwrap() - 1.0).abs() < 1e-12);
        for lowest in [0.0, 0.098, 0.5, 0.961, 0.9999, 1.0] {
            let scale = Scale::accuracy(lowest);
            assert!(scale.low <= lowest + 1e-9 && scale.low >= -1e-9, "{lowest}: {}", scale.low);
            assert!((1..=10).contains(&scale.steps), "{lowest}: {}", scale.steps);
        }
    }

    #[test]
    fn epoch_ticks_are_whole_and_few() {
        assert_eq!(Epochs { first: 1.0, last: 4.0 }.ticks(), [1.0, 2.0, 3.0, 4.0]);
        assert_eq!(Epochs { first: 1.0, last: 1.0 }.ticks(), [1.0]);
        let many = Epochs { first: 1.0, last: 100.0 }.ticks();
        assert!(many.len() <= 12 && many.last() == Some(&100.0), "{many:?}");
    }

    #[test]
    fn better_is_higher_and_later_is_further_right() {
        let scale = Scale::accuracy(0.9);
        assert!((scale.y(1.0) - TOP).abs() < 1e-9);
        assert!(scale.y(0.99) < scale.y(0.92));
        let epochs = Epochs::new([1, 2, 3].into_iter());
        assert!(epochs.x(3.0) > epochs.x(1.0) && epochs.x(3.0) < RIGHT);
    }
}
