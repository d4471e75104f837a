//! A test as a page for a browser, everything in one file: figures, confusion, the worst mistakes
//! with their pictures. It is made here and sent nowhere.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sphinx_client::data::{Dataset, shown_text};
use sphinx_client::workspace::{Evaluation, Mistake};

use super::{ReportError, io_error, replace};
use crate::numbers::percent;

const STYLE: &str = "body{font:15px sans-serif;margin:2em}table{border-collapse:collapse;margin:1em 0}\
th,td{border:1px solid #ccc;padding:3px 8px;text-align:right}th:first-child{text-align:left}\
td.right{background:#e4f4e4}td.wrong{background:#f8e0e0}figure{display:inline-block;margin:8px;font-size:13px}\
img{width:112px;height:112px;object-fit:contain;image-rendering:pixelated;background:#888}";

/// Writes `index.html` into `directory`, which is created, over an earlier one; its path.
///
/// # Errors
/// [`ReportError::Io`].
pub fn write_page(
    directory: &Path,
    evaluation: &Evaluation,
    images: &Dataset,
) -> Result<PathBuf, ReportError> {
    fs::create_dir_all(directory).map_err(|e| io_error(directory, &e))?;
    let path = directory.join("index.html");
    replace(directory, &path, &page(evaluation, images)).map_err(|e| io_error(&path, &e))?;
    Ok(path)
}

fn page(evaluation: &Evaluation, images: &Dataset) -> String {
    let Evaluation { model, version, images: count, accuracy, metrics, .. } = evaluation;
    let share = |value: Option<f64>| value.map_or("–".to_owned(), percent);
    let plain = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.4}"));
    let title = format!("{} at version {version}", escaped(model));
    let mut page = format!(
        "<!DOCTYPE html><html lang=\"en\"><meta charset=\"utf-8\"><title>{title}</title><style>{STYLE}</style>\
         <h1>{title}</h1><table><tr><th>images<td>{count}<tr><th>accuracy<td>{}<tr><th>balanced accuracy<td>{}\
         <tr><th>ROC AUC<td>{}<tr><th>calibration error<td>{}",
        percent(*accuracy),
        share(metrics.balanced_accuracy),
        plain(metrics.auc),
        share(metrics.calibration_error),
    );
    // Writing to a string does not fail.
    if let Some(rejection) = metrics.rejection {
        let (below, unsure) = (rejection.below, rejection.unsure);
        let _ = write!(page, "<tr><th>unsure, below {below}<td>{unsure}");
        let _ =
            write!(page, "<tr><th>accuracy of the others<td>{}", share(rejection.accuracy_of_sure));
    }
    page += "</table><h2>Classes</h2><table><tr><th>class<th>images<th>precision<th>recall<th>F1<th>AUC";
    for class in &metrics.per_class {
        let _ = write!(
            page,
            "<tr><th>{}<td>{}<td>{}<td>{}<td>{}<td>{}",
            escaped(&class.class),
            class.images,
            share(class.precision),
            share(class.recall),
            plain(class.f1),
            plain(class.auc)
        );
    }
    page += "</table><h2>Confusion</h2><p>True classes down, answers across.<table><tr><th>";
    let names = evaluation.confusion.classes().names();
    for name in names {
        let _ = write!(page, "<th>{}", escaped(name));
    }
    for (class, (name, row)) in names.iter().zip(evaluation.confusion.counts()).enumerate() {
        let _ = write!(page, "<tr><th>{}", escaped(name));
        for (predicted, count) in row.iter().enumerate() {
            let kind = match (class == predicted, *count) {
                (true, _) => " class=right",
                (false, 0) => "",
                (false, _) => " class=wrong",
            };
            let _ = write!(page, "<td{kind}>{count}");
        }
    }
    page += "</table><h2>The most confident mistakes</h2>";
    for Mistake { image, predicted, probability } in &evaluation.mistakes {
        let Some(png) = images.png(*image) else { continue };
        let label = images.labels().get(*image).map_or(0, |label| usize::from(*label));
        let [label, predicted] = [label, *predicted]
            .map(|class| names.get(class).map_or(class.to_string(), |name| escaped(name)));
        let (picture, probability) = (STANDARD.encode(png), percent(f64::from(*probability)));
        let _ = write!(
            page,
            "<figure><img alt=\"image {image}\" src=\"data:image/png;base64,{picture}\">\
             <figcaption>{label}<br>taken for {predicted}<br>{probability}</figcaption></figure>"
        );
    }
    page + "</html>\n"
}

/// Text in a page.
fn escaped(text: &str) -> String {
    let text = shown_text(text).replace('&', "&amp;").replace('<', "&lt;");
    text.replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use sphinx_client::data::Classes;
    use sphinx_client::workspace::{Confusion, Metrics};
    use sphinx_network::Shape;

    use super::*;

    #[test]
    fn names_are_text_and_mistakes_are_pictures() {
        let classes = Classes::named(["<b>cat", "dog"]);
        let mut confusion = Confusion::new(classes.clone());
        confusion.add(0, 1, 1);
        let images = Dataset::new(vec![9; 12], vec![0], Shape::new(3, 2, 2), classes).unwrap();
        let evaluation = Evaluation {
            answers: Vec::new(),
            model: "pets".to_owned(),
            version: 3,
            images: 1,
            accuracy: 0.0,
            metrics: Metrics::new(&confusion, images.labels(), &[], None),
            confusion,
            mistakes: vec![Mistake { image: 0, predicted: 1, probability: 0.75 }],
            seconds: 1.0,
            preparing_bytes_up: 0,
            preparing_bytes_down: 0,
            recognising_bytes_up: 0,
            recognising_bytes_down: 0,
        };
        let directory = tempfile::tempdir().unwrap();
        let path = write_page(&directory.path().join("new"), &evaluation, &images).unwrap();
        let page = fs::read_to_string(path).unwrap();
        assert!(page.contains("&lt;b&gt;cat<br>taken for dog<br>75.00 %"), "{page}");
        assert!(page.contains("src=\"data:image/png;base64,iVBORw0KGgo") && !page.contains("<b>"));
        assert!(page.contains("<td class=wrong>1"));
    }
}
