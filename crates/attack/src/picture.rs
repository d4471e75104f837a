//! Comparing images, and showing them.

use std::path::Path;

use image::{GrayImage, ImageResult, Luma};

/// Peak signal-to-noise ratio in dB of `got` against `original`, both in `[0, 1]`: 10 log₁₀(1 /
/// mean square error). Infinite for equal images.
pub fn psnr(got: &[f32], original: &[f32]) -> f64 {
    let square = |(a, b): (&f32, &f32)| f64::from(a - b).powi(2);
    let error: f64 = got.iter().zip(original).map(square).sum();
    -10.0 * (error / original.len().max(1) as f64).log10()
}

/// For each original the place of the found image that stands for it: pairs in order of falling
/// likeness.
pub fn match_up(found: &[Vec<f32>], originals: &[Vec<f32>]) -> Vec<usize> {
    let mut pairs: Vec<(f64, usize, usize)> = originals
        .iter()
        .enumerate()
        .flat_map(|(o, original)| {
            found.iter().enumerate().map(move |(f, image)| (psnr(image, original), o, f))
        })
        .collect();
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut taken, mut places) = (vec![false; found.len()], vec![None; originals.len()]);
    for (_, o, f) in pairs {
        if places[o].is_none() && !taken[f] {
            taken[f] = true;
            places[o] = Some(f);
        }
    }
    places.into_iter().map(|place| place.unwrap_or(0)).collect()
}

/// Writes rows of square images, each pixel `zoom × zoom`, as a grey PNG.
///
/// # Errors
/// If the file cannot be written.
pub fn contact_sheet(rows: &[&[Vec<f32>]], zoom: u32, path: &Path) -> ImageResult<()> {
    const GAP: u32 = 6;
    let longest = rows.iter().flat_map(|row| row.iter()).map(Vec::len).max().unwrap_or(1);
    let side = (longest as f64).sqrt() as u32;
    let columns = rows.iter().map(|row| row.len()).max().unwrap_or(0) as u32;
    let cell = side * zoom + GAP;
    let size = |count: u32| count * cell + GAP;
    let mut sheet = GrayImage::from_pixel(size(columns), size(rows.len() as u32), Luma([255]));
    for (line, row) in (0u32..).zip(rows) {
        for (column, image) in (0u32..).zip(row.iter()) {
            for (at, &level) in (0u32..).zip(image.iter()) {
                let level = Luma([(level.clamp(0.0, 1.0) * 255.0).round() as u8]);
                let x = GAP + column * cell + at % side * zoom;
                let y = GAP + line * cell + at / side * zoom;
                for (dx, dy) in (0..zoom).flat_map(|dy| (0..zoom).map(move |dx| (dx, dy))) {
                    sheet.put_pixel(x + dx, y + dy, level);
                }
            }
        }
    }
    sheet.save(path)
}
