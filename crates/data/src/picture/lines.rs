//! Ruled lines and the frames of form cells: rows and columns of ink from end to end.

use image::{GrayImage, Luma, imageops};

/// Share of a row's pixels that are ink in a ruled line.
const WHOLE: f32 = 0.97;
/// Share of the picture's side that may be taken for the frame at each edge.
const FRAME: u32 = 4;
/// Thickest line within the picture, as a share of its side.
const THICK: u32 = 12;
/// Difference from the paper, of 255, that is ink.
const INK: i16 = 24;
/// Least side of a picture that lines are looked for in.
const LEAST: u32 = 12;

/// The picture without lines that run from edge to edge: at an edge they are cut away, within the
/// picture each is bridged from the rows before it to those behind it, so that strokes across it
/// stay.
pub(super) fn without_lines(grey: GrayImage) -> GrayImage {
    let mut grey = grey;
    for _ in 0..2 {
        grey = imageops::rotate90(&bridged(cut(grey)));
    }
    // Turned twice by a quarter; back by a half.
    imageops::rotate180(&grey)
}

/// Cuts ruled rows away at top and bottom.
fn cut(grey: GrayImage) -> GrayImage {
    let (width, height) = grey.dimensions();
    if width < LEAST || height < LEAST {
        return grey;
    }
    let paper = paper(&grey);
    let share = |y: u32| inked(&grey, paper, y);
    let edge = |rows: &mut dyn Iterator<Item = u32>| {
        let mut cut = 0;
        for (index, y) in rows.take((height / FRAME) as usize).enumerate() {
            if share(y) >= WHOLE {
                cut = index as u32 + 1;
            }
        }
        // The line's soft edge.
        if cut > 0 { cut + 1 } else { 0 }
    };
    let (top, bottom) = (edge(&mut (0..height)), edge(&mut (0..height).rev()));
    imageops::crop_imm(&grey, 0, top, width, height - top - bottom).to_image()
}

/// Bridges ruled rows between others.
fn bridged(mut grey: GrayImage) -> GrayImage {
    let (width, height) = grey.dimensions();
    if width < LEAST || height < LEAST {
        return grey;
    }
    let paper = paper(&grey);
    let ruled: Vec<bool> = (0..height).map(|y| inked(&grey, paper, y) >= WHOLE).collect();
    let mut y = 1;
    while y + 1 < height {
        if !ruled[y as usize] {
            y += 1;
            continue;
        }
        let end = (y..height).find(|&y| !ruled[y as usize]).unwrap_or(height);
        // With the line's soft edges.
        let (before, behind) = (y.saturating_sub(2), (end + 1).min(height - 1));
        if end < height && end - y <= (height / THICK).max(1) {
            for x in 0..width {
                let [from, to] = [before, behind].map(|y| f32::from(grey.get_pixel(x, y).0[0]));
                for row in before + 1..behind {
                    let way = (row - before) as f32 / (behind - before) as f32;
                    grey.put_pixel(x, row, Luma([(from + (to - from) * way).round() as u8]));
                }
            }
        }
        y = end + 1;
    }
    grey
}

/// Level of most of the picture.
fn paper(grey: &GrayImage) -> u8 {
    let mut counts = [0_usize; 256];
    grey.iter().for_each(|level| counts[usize::from(*level)] += 1);
    let half = grey.len() / 2;
    let mut seen = 0;
    let level = counts.iter().position(|count| {
        seen += count;
        seen > half
    });
    level.unwrap_or_default() as u8
}

/// Share of a row that is ink.
fn inked(grey: &GrayImage, paper: u8, y: u32) -> f32 {
    let ink = |x: &u32| (i16::from(grey.get_pixel(*x, y).0[0]) - i16::from(paper)).abs() > INK;
    (0..grey.width()).filter(ink).count() as f32 / grey.width() as f32
}
