//! What images are, for people and for programs.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use sphinx_client::data::{Classes, shown, shown_text};
use sphinx_client::recognition::Prediction;
use sphinx_client::workspace::Calibration;

use super::Lines;
use crate::error::CliError;
use crate::numbers::percent;
use crate::output::Output;

/// Width of names that are not known beforehand.
const NAME_WIDTH: usize = 24;
/// In the place of a class that is not to be relied on.
const UNSURE: &str = "unsure";
/// An image that is less like anything known than this share of those of the calibration is said to
/// be so.
const STRANGE: f32 = 0.995;

/// One image. It has no `Debug`: what was recognised is for the user alone.
#[derive(Serialize)]
pub(super) struct Recognised {
    file: String,
    class: usize,
    /// What the class is called, where that is not its number.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// Whether the probability is below that of --reject, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    unsure: Option<bool>,
    probability: f32,
    probabilities: Vec<f32>,
    /// Share of the images that the model was calibrated with that look more like something it
    /// knows, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    unlike: Option<f32>,
    /// From the request to the answer of the images that went together, milliseconds.
    milliseconds: f64,
}

/// How answers are called, and which are not to be relied on.
#[derive(Clone)]
pub(super) struct Answers {
    pub classes: Classes,
    /// Probability below which an answer is unsure.
    pub reject: Option<f32>,
    /// What answers are corrected by.
    pub calibration: Option<Calibration>,
}

/// Prints line by line, or everything in the end.
pub(super) struct Report {
    lines: Option<Lines>,
    width: usize,
    class_width: usize,
    begun: bool,
    document: Vec<Recognised>,
}

impl Recognised {
    pub(super) fn new(
        file: String,
        prediction: Prediction,
        milliseconds: f64,
        answers: &Answers,
    ) -> Self {
        let unlike = answers.calibration.as_ref().map(|known| known.unlike(&prediction));
        let prediction = match &answers.calibration {
            Some(calibration) => calibration.calibrated(&prediction),
            None => prediction,
        };
        let (class, probability) = (prediction.class, prediction.probability());
        let name = answers.classes.names().get(class).filter(|name| **name != class.to_string());
        let (name, unsure) = (name.cloned(), answers.reject.map(|p| prediction.is_unsure(p)));
        let probabilities = prediction.probabilities;
        Self { file, class, name, unsure, probability, probabilities, unlike, milliseconds }
    }

    fn table(&self, width: usize, class_width: usize) -> String {
        let Self { file, class, .. } = self;
        let file = shown_text(file);
        let class = match (&self.name, self.unsure) {
            (_, Some(true)) => UNSURE.to_owned(),
            (Some(name), _) => shown_text(name),
            (None, _) => class.to_string(),
        };
        let probability = percent(f64::from(self.probability));
        let strange = self.unlike.filter(|unlike| *unlike > STRANGE);
        let strange = strange.map_or("", |_| "  unlike anything it was calibrated with");
        format!("{file:width$}  {class:>class_width$}  {probability:>11}{strange}")
    }

    fn csv(&self) -> String {
        let Self { class, probability, milliseconds, .. } = self;
        let mut line = format!("{},{class},{probability}", quoted(&self.file));
        for probability in &self.probabilities {
            // Writing to a string does not fail.
            let _ = write!(line, ",{probability}");
        }
        let _ = write!(line, ",{milliseconds:.3}");
        if let Some(name) = &self.name {
            let _ = write!(line, ",{}", quoted(name));
        }
        if let Some(unsure) = self.unsure {
            let _ = write!(line, ",{unsure}");
        }
        if let Some(unlike) = self.unlike {
            let _ = write!(line, ",{unlike:.3}");
        }
        line
    }

    fn csv_header(&self) -> String {
        let classes: Vec<String> =
            (0..self.probabilities.len()).map(|class| format!("p{class}")).collect();
        let name = if self.name.is_some() { ",name" } else { "" };
        let unsure = if self.unsure.is_some() { ",unsure" } else { "" };
        let unlike = if self.unlike.is_some() { ",unlike" } else { "" };
        format!("file,class,probability,{},milliseconds{name}{unsure}{unlike}", classes.join(","))
    }
}

impl Report {
    /// Lines, or `None` for one document.
    pub(super) fn new(lines: Option<Lines>, files: &[PathBuf], answers: &Answers) -> Self {
        let widths = files.iter().map(|file| shown(file).chars().count());
        let width = widths.max().filter(|width| *width > 1).unwrap_or(NAME_WIDTH).max(4);
        let names = answers.classes.names().iter().map(|name| shown_text(name).chars().count());
        let unsure = answers.reject.map_or(0, |_| UNSURE.len());
        let class_width = names.max().unwrap_or(0).max(unsure).max(5);
        Self { lines, width, class_width, begun: false, document: Vec::new() }
    }

    pub(super) fn line(&mut self, image: Recognised, output: Output) -> Result<(), CliError> {
        let begun = std::mem::replace(&mut self.begun, true);
        let (width, class_width) = (self.width, self.class_width);
        match self.lines {
            None => {
                self.document.push(image);
                Ok(())
            }
            Some(Lines::Table) => {
                if !begun {
                    let head = ("FILE", "CLASS");
                    let head = format!("{:width$}  {:>class_width$}  PROBABILITY", head.0, head.1);
                    output.text(&head)?;
                }
                output.text(&image.table(width, class_width))
            }
            Some(Lines::Csv) => {
                if !begun {
                    output.text(&image.csv_header())?;
                }
                output.text(&image.csv())
            }
            Some(Lines::Jsonl) => {
                let line = serde_json::to_string(&image);
                output.text(&line.map_err(|error| CliError::Output(error.into()))?)
            }
        }
    }

    pub(super) fn end(&self, output: Output) -> Result<(), CliError> {
        match self.lines {
            None => output.result(&self.document, String::new),
            Some(_) => Ok(()),
        }
    }
}

/// A field of a CSV file, quoted where RFC 4180 wants it.
fn quoted(text: &str) -> String {
    if text.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_have_the_columns_of_their_headers() {
        let image = Recognised {
            file: "a, \"b\".png".to_owned(),
            class: 1,
            name: None,
            unsure: None,
            unlike: None,
            probability: 0.75,
            probabilities: vec![0.25, 0.75],
            milliseconds: 1.2345,
        };
        assert_eq!(image.csv_header(), "file,class,probability,p0,p1,milliseconds");
        assert_eq!(image.csv(), "\"a, \"\"b\"\".png\",1,0.75,0.25,0.75,1.234");
        assert_eq!(image.table(12, 5), "a, \"b\".png        1      75.00 %");
        let named = Recognised {
            file: "b\u{1b}[2J".to_owned(),
            name: Some("sea, \u{7}lion".to_owned()),
            unsure: Some(false),
            ..image
        };
        let header = "file,class,probability,p0,p1,milliseconds,name,unsure";
        assert_eq!(named.csv_header(), header);
        assert!(named.csv().ends_with(",1.234,\"sea, \u{7}lion\",false"), "{}", named.csv());
        assert_eq!(named.table(3, 5), "b\\u{1b}[2J  sea, \\u{7}lion      75.00 %");
        let strange = Recognised { unlike: Some(0.999), ..named };
        assert_eq!(strange.csv_header(), format!("{header},unlike"));
        assert!(strange.csv().ends_with(",false,0.999"), "{}", strange.csv());
        assert!(strange.table(3, 5).ends_with("75.00 %  unlike anything it was calibrated with"));
        let doubtful = Recognised { unsure: Some(true), unlike: Some(0.5), ..strange };
        assert_eq!(doubtful.table(3, 5), "b\\u{1b}[2J  unsure      75.00 %");
    }
}
