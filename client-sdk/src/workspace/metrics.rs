//! How good answers are, in the figures that people compare.

use serde::Serialize;
use sphinx_data::Classes;

use crate::recognition::Prediction;
use crate::workspace::Confusion;

/// Bins of the calibration error.
const BINS: usize = 15;

/// What answers to images with known classes come to; `None` where nothing stands behind a figure.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// Mean recall of the classes that have images.
    pub balanced_accuracy: Option<f64>,
    /// Area under the ROC curve: that of the second of two classes, else the mean over the classes,
    /// each against the rest.
    pub auc: Option<f64>,
    /// Expected calibration error: how far probability and share of right answers are apart, in the
    /// mean over 15 bins of probability.
    pub calibration_error: Option<f64>,
    /// By class, in the order of the labels.
    pub per_class: Vec<ClassMetrics>,
    /// What answers below a least probability come to, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejection: Option<Rejection>,
}

/// The figures of one class.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Its name.
    pub class: String,
    /// Its images.
    pub images: u64,
    /// Share of the images taken for it that are of it.
    pub precision: Option<f64>,
    /// Share of its images taken for it.
    pub recall: Option<f64>,
    /// Harmonic mean of both.
    pub f1: Option<f64>,
    /// Area under the ROC curve against all other classes.
    pub auc: Option<f64>,
}

/// Answers with doubt.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rejection {
    /// Probability below which an answer is "unsure".
    pub below: f32,
    /// Images that are unsure.
    pub unsure: u64,
    /// Share of the others that were recognised; `None` if there are none.
    pub accuracy_of_sure: Option<f64>,
}

impl Metrics {
    /// Of predictions in the order of the labels; answers below `reject` count as unsure.
    pub fn new(
        confusion: &Confusion,
        labels: &[u8],
        predictions: &[Prediction],
        reject: Option<f32>,
    ) -> Self {
        let classes = confusion.classes();
        let per_class = per_class(confusion, classes, labels, predictions);
        let aucs = per_class.iter().filter_map(|class| class.auc);
        let auc = if per_class.len() == 2 { per_class[1].auc } else { mean(aucs) };
        Self {
            balanced_accuracy: mean(per_class.iter().filter_map(|class| class.recall)),
            auc,
            calibration_error: calibration_error(labels, predictions),
            rejection: reject.map(|below| rejection(labels, predictions, below)),
            per_class,
        }
    }
}

fn per_class(
    confusion: &Confusion,
    classes: &Classes,
    labels: &[u8],
    predictions: &[Prediction],
) -> Vec<ClassMetrics> {
    let counts = confusion.counts();
    let of = |class: usize, name: &String| {
        let taken: u64 = counts.iter().map(|row| row[class]).sum();
        let (images, right) = (counts[class].iter().sum::<u64>(), counts[class][class]);
        let share = |of: u64| (of > 0).then(|| right as f64 / of as f64);
        let scores = predictions.iter().map(|prediction| prediction.probabilities.get(class));
        let scored = scores
            .zip(labels)
            .filter_map(|(score, label)| Some((*score?, usize::from(*label) == class)));
        ClassMetrics {
            class: name.clone(),
            images,
            precision: share(taken),
            recall: share(images),
            f1: (taken + images > 0).then(|| 2.0 * right as f64 / (taken + images) as f64),
            auc: auc(scored.collect()),
        }
    };
    classes.names().iter().enumerate().map(|(class, name)| of(class, name)).collect()
}

/// Area under the ROC curve: the chance that a member scores above another, ties counting half;
/// `None` without members or without others.
fn auc(mut scored: Vec<(f32, bool)>) -> Option<f64> {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut below, mut pairs) = (0.0_f64, 0.0_f64);
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let members = tied.iter().filter(|(_, member)| *member).count() as f64;
        let others = tied.len() as f64 - members;
        pairs += members * (below + others / 2.0);
        below += others;
    }
    let members = scored.len() as f64 - below;
    (members > 0.0 && below > 0.0).then(|| pairs / (members * below))
}

fn is_right(prediction: &Prediction, label: u8) -> bool {
    prediction.class == usize::from(label)
}

fn calibration_error(labels: &[u8], predictions: &[Prediction]) -> Option<f64> {
    let mut bins = [(0.0_f64, 0.0_f64); BINS];
    for (prediction, label) in predictions.iter().zip(labels) {
        let probability = f64::from(prediction.probability());
        let bin = ((probability * BINS as f64) as usize).min(BINS - 1);
        bins[bin].0 += probability;
        bins[bin].1 += f64::from(u8::from(is_right(prediction, *label)));
    }
    let gaps: f64 = bins.iter().map(|(probability, right)| (probability - right).abs()).sum();
    (!predictions.is_empty()).then(|| gaps / predictions.len() as f64)
}

fn rejection(labels: &[u8], predictions: &[Prediction], below: f32) -> Rejection {
    let answers = predictions.iter().zip(labels);
    let sure: Vec<bool> = answers
        .filter(|(prediction, _)| !prediction.is_unsure(below))
        .map(|(prediction, label)| is_right(prediction, *label))
        .collect();
    let right = sure.iter().filter(|right| **right).count() as f64;
    Rejection {
        below,
        unsure: (predictions.len() - sure.len()) as u64,
        accuracy_of_sure: (!sure.is_empty()).then(|| right / sure.len() as f64),
    }
}

fn mean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let (sum, count) = values.fold((0.0, 0), |(sum, count), value| (sum + value, count + 1));
    (count > 0).then(|| sum / f64::from(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A prediction of two classes with that probability of the second.
    fn second(probability: f32) -> Prediction {
        Prediction::new(vec![(1.0 - probability).ln(), probability.ln()])
    }

    fn metrics(labels: &[u8], probabilities: &[f32], reject: Option<f32>) -> Metrics {
        let predictions: Vec<Prediction> = probabilities.iter().copied().map(second).collect();
        let mut confusion = Confusion::new(Classes::named(["cat", "dog"]));
        for (label, prediction) in labels.iter().zip(&predictions) {
            confusion.add(usize::from(*label), prediction.class, 1);
        }
        Metrics::new(&confusion, labels, &predictions, reject)
    }

    #[test]
    fn figures_are_those_of_the_books() {
        // scikit-learn 1.5: roc_auc_score 0.75, balanced_accuracy 0.75, f1 of dog 2/3.
        let got = metrics(&[0, 0, 1, 1], &[0.1, 0.42, 0.35, 0.8], None);
        assert!((got.auc.unwrap() - 0.75).abs() < 1e-12);
        assert!((got.balanced_accuracy.unwrap() - 0.75).abs() < 1e-12);
        let dog = &got.per_class[1];
        assert_eq!((dog.class.as_str(), dog.images, dog.precision), ("dog", 2, Some(1.0)));
        assert!((dog.f1.unwrap() - 2.0 / 3.0).abs() < 1e-12 && dog.recall == Some(0.5));
        // Each in a bin of its own: 0.9, 0.58, 0.65 (wrong) and 0.8.
        let expected = (0.1 + 0.42 + 0.65 + 0.2) / 4.0;
        assert!((got.calibration_error.unwrap() - expected).abs() < 1e-6, "{got:?}");
    }

    #[test]
    fn ties_count_half_and_one_class_has_no_curve() {
        assert_eq!(metrics(&[0, 1], &[0.5, 0.5], None).auc, Some(0.5));
        let got = metrics(&[1, 1], &[0.2, 0.9], None);
        assert_eq!((got.auc, got.balanced_accuracy), (None, Some(0.5)));
        assert_eq!((got.per_class[0].recall, got.per_class[0].precision), (None, Some(0.0)));
    }

    #[test]
    fn unsure_answers_are_counted_apart() {
        let got = metrics(&[0, 0, 1, 1], &[0.1, 0.6, 0.35, 0.8], Some(0.7)).rejection.unwrap();
        assert_eq!((got.unsure, got.accuracy_of_sure), (2, Some(1.0)));
        let all = metrics(&[0], &[0.4], Some(1.0)).rejection.unwrap();
        assert_eq!((all.unsure, all.accuracy_of_sure), (1, None));
    }
}
