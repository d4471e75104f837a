//! Figures of a test for a terminal.

use sphinx_client::data::shown_text;
use sphinx_client::workspace::{ClassMetrics, Metrics};

use crate::numbers::percent;
use crate::output::table;

/// Classes of which single figures are shown.
const MOST_CLASSES: usize = 40;

/// Balanced accuracy, area under the curve, calibration, and the figures of every class.
pub fn metrics_text(metrics: &Metrics) -> String {
    let share = |value: Option<f64>| value.map_or("-".to_owned(), percent);
    let plain = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let mut text = format!("balanced       {}\n", share(metrics.balanced_accuracy));
    text += &format!("ROC AUC        {}\n", plain(metrics.auc));
    text += &format!("calibration    {} off\n", share(metrics.calibration_error));
    if let Some(rejection) = metrics.rejection {
        let sure = share(rejection.accuracy_of_sure);
        let (unsure, below) = (rejection.unsure, rejection.below);
        text += &format!("unsure         {unsure} below {below}; of the others {sure} right\n");
    }
    if metrics.per_class.len() > MOST_CLASSES {
        return text;
    }
    let row = |class: &ClassMetrics| {
        let ClassMetrics { class, images, precision, recall, f1, auc } = class;
        let [precision, recall] = [*precision, *recall].map(share);
        [shown_text(class), images.to_string(), precision, recall, plain(*f1), plain(*auc)]
    };
    let header = ["CLASS", "IMAGES", "PRECISION", "RECALL", "F1", "AUC"];
    text + "\n" + &table(header, metrics.per_class.iter().map(row)) + "\n"
}
