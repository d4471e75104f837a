//! Results of an attack: a line of the table, a contact sheet.

use std::path::Path;

use image::ImageResult;
use sphinx_attack::picture::contact_sheet;

/// An attack on some images.
pub struct Row {
    pub originals: Vec<Vec<f32>>,
    pub images: Vec<Vec<f32>>,
    /// PSNR of each in dB.
    pub quality: Vec<f64>,
    /// How many labels were found.
    pub labels: usize,
    /// Mean of 1 − cosine between the found gradients and those seen.
    pub distance: f64,
}

impl Row {
    pub fn print(&self, batch: usize, title: &str) {
        let of = self.quality.len();
        let mean = self.quality.iter().sum::<f64>() / of.max(1) as f64;
        let least = self.quality.iter().copied().fold(f64::INFINITY, f64::min);
        let most = self.quality.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let (labels, distance) = if self.distance.is_nan() {
            ("-".to_owned(), "-".to_owned())
        } else {
            (format!("{} of {of}", self.labels), format!("{:.1e}", self.distance))
        };
        println!(
            "| {batch} | {title} | {mean:.1} dB | {least:.1} | {most:.1} | {labels} | {distance} |"
        );
    }

    pub fn save(&self, path: &Path) -> ImageResult<()> {
        contact_sheet(&[&self.originals, &self.images], 3, path)
    }
}
