//! What images are, for people and for programs.

use std::fmt::Write;
use std::path::PathBuf;

use serde::Serialize;
use sphinx_client::recognition::Prediction;

use super::Lines;
use crate::error::CliError;
use crate::numbers::percent;
use crate::output::Output;

/// Width of names that are not known beforehand.
const NAME_WIDTH: usize = 24;

/// One image. It has no `Debug`: what was recognised is for the user alone.
#[derive(Serialize)]
pub(super) struct Recognised {
    file: String,
    class: usize,
    probability: f32,
    probabilities: Vec<f32>,
    /// From the request to the answer of the images that went together, milliseconds.
    milliseconds: f64,
}

/// Prints line by line, or everything in the end.
pub(super) struct Report {
    lines: Option<Lines>,
    width: usize,
    begun: bool,
    document: Vec<Recognised>,
}

impl Recognised {
    pub(super) fn new(file: String, prediction: Prediction, milliseconds: f64) -> Self {
        let (class, probability) = (prediction.class, prediction.probability());
        Self { file, class, probability, probabilities: prediction.probabilities, milliseconds }
    }

    fn table(&self, width: usize) -> String {
        let Self { file, class, .. } = self;
        format!("{file:width$}  {class:5}  {:>11}", percent(f64::from(self.probability)))
    }

    fn csv(&self) -> String {
        let Self { class, probability, milliseconds, .. } = self;
        let mut line = format!("{},{class},{probability}", quoted(&self.file));
        for probability in &self.probabilities {
            // Writing to a string does not fail.
            let _ = write!(line, ",{probability}");
        }
        let _ = write!(line, ",{milliseconds:.3}");
        line
    }

    fn csv_header(&self) -> String {
        let classes: Vec<String> =
            (0..self.probabilities.len()).map(|class| format!("p{class}")).collect();
        format!("file,class,probability,{},milliseconds", classes.join(","))
    }
}

impl Report {
    /// Lines, or `None` for one document.
    pub(super) fn new(lines: Option<Lines>, files: &[PathBuf]) -> Self {
        let widths = files.iter().map(|file| file.display().to_string().chars().count());
        let width = widths.max().filter(|width| *width > 1).unwrap_or(NAME_WIDTH).max(4);
        Self { lines, width, begun: false, document: Vec::new() }
    }

    pub(super) fn line(&mut self, image: Recognised, output: Output) -> Result<(), CliError> {
        let begun = std::mem::replace(&mut self.begun, true);
        let width = self.width;
        match self.lines {
            None => {
                self.document.push(image);
                Ok(())
            }
            Some(Lines::Table) => {
                if !begun {
                    output.text(&format!("{:width$}  CLASS  PROBABILITY", "FILE"))?;
                }
                output.text(&image.table(width))
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
            probability: 0.75,
            probabilities: vec![0.25, 0.75],
            milliseconds: 1.2345,
        };
        assert_eq!(image.csv_header(), "file,class,probability,p0,p1,milliseconds");
        assert_eq!(image.csv(), "\"a, \"\"b\"\".png\",1,0.75,0.25,0.75,1.234");
        assert_eq!(image.table(12), "a, \"b\".png        1      75.00 %");
    }
}
