//! What a data set is like, before anything is trained on it.

use std::collections::{BTreeMap, HashMap};
use std::io::Cursor;
use std::path::Path;

use image::{DynamicImage, ImageFormat, Rgb, RgbImage, imageops};
use rayon::prelude::*;
use serde::Serialize;
use sha2::{Digest, Sha256};
use sphinx_network::Shape;

use crate::classes::Classes;
use crate::dataset::Dataset;
use crate::picture::{self, Picture};
use crate::pipeline::{Fit, Pipeline, Preparation, picture_of};
use crate::shown::{shown, shown_text};
use crate::sources::{Found, Images, Part, SourceKind, Split};

/// Side of a picture on a contact sheet.
const TILE: u32 = 64;
/// Pictures of each class on a contact sheet.
const ACROSS: usize = 12;
/// Share of upright images that are taller than wide below which digits and letters lie on a side.
const UPRIGHT: f64 = 0.4;
/// Images that are looked at for that.
const LOOKED_AT: usize = 1000;

/// What a data set is like. It names classes and unreadable files and shows no image.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Inspection {
    /// Its form.
    pub kind: SourceKind,
    /// Images by class.
    pub classes: Vec<ClassCount>,
    /// Images in all, unreadable ones included.
    pub images: usize,
    /// Sizes with the number of images that have them, the most frequent first.
    pub sizes: Vec<SizeCount>,
    /// Images with colours.
    pub in_colour: usize,
    /// Images whose contents another image of the set has too.
    pub duplicates: usize,
    /// Images to test with whose contents are trained on too.
    pub tested_on_training: usize,
    /// Images whose contents have two labels.
    pub contradictions: usize,
    /// Images of the largest class for one of the smallest, to train on.
    pub imbalance: Option<f64>,
    /// Whether rows and columns are likely exchanged, as in EMNIST.
    pub likely_transposed: bool,
    /// Why files cannot be read, each with its name.
    pub unreadable: Vec<String>,
    /// What a user should know of how it was read.
    pub notes: Vec<String>,
    /// What `train` would make of the pictures.
    pub pipeline: Option<Pipeline>,
}

/// Images of a class by split.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// Its name.
    pub name: String,
    /// To train on.
    pub train: usize,
    /// To choose settings by.
    pub validation: usize,
    /// To test with.
    pub test: usize,
}

/// Images of a size.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct SizeCount {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// How many.
    pub images: usize,
}

/// What one image is like.
struct Look {
    size: (usize, usize),
    colour: bool,
    digest: [u8; 32],
    split: Split,
    label: u8,
}

impl Found {
    /// Reads everything once, on all cores, and says what it is like.
    pub fn inspect(&self) -> Inspection {
        let (mut looks, mut unreadable) = (Vec::new(), Vec::new());
        for part in &self.parts {
            for look in looked_at(part) {
                match look {
                    Ok(look) => looks.push(look),
                    Err(error) => unreadable.push(error),
                }
            }
        }
        let counts = Split::ALL.map(|split| self.counts(split));
        let names = self.classes.names().iter().enumerate();
        let classes = names.map(|(class, name)| ClassCount {
            name: name.clone(),
            train: counts[0][class],
            validation: counts[1][class],
            test: counts[2][class],
        });
        let some = counts[0].iter().copied().filter(|count| *count > 0);
        let imbalance = some.clone().max().zip(some.min());
        let contents = Contents::of(&looks);
        Inspection {
            kind: self.kind,
            classes: classes.collect(),
            images: looks.len() + unreadable.len(),
            sizes: sizes(&looks),
            in_colour: looks.iter().filter(|look| look.colour).count(),
            duplicates: contents.duplicates,
            tested_on_training: contents.tested_on_training,
            contradictions: contents.contradictions,
            imbalance: imbalance.map(|(most, least)| most as f64 / least as f64),
            likely_transposed: self.is_likely_transposed(),
            unreadable,
            notes: self.notes.clone(),
            pipeline: self.pipeline().ok(),
        }
    }

    /// Pictures of every class, a row each, as a PNG file: those to train on first.
    pub fn contact_sheet(&self) -> Vec<u8> {
        let rows: Vec<Vec<RgbImage>> =
            (0..self.classes.len()).map(|class| self.tiles(class as u8)).collect();
        let size = |count: usize| (TILE + 2) * count.max(1) as u32 + 2;
        let mut sheet = RgbImage::from_pixel(size(ACROSS), size(rows.len()), Rgb([40; 3]));
        for (y, row) in rows.iter().enumerate() {
            for (x, tile) in row.iter().enumerate() {
                let at = |index: usize| i64::from(2 + (TILE + 2) * index as u32);
                imageops::replace(&mut sheet, tile, at(x), at(y));
            }
        }
        let mut bytes = Cursor::new(Vec::new());
        // Into memory: nothing there can fail.
        let _ = DynamicImage::from(sheet).write_to(&mut bytes, ImageFormat::Png);
        bytes.into_inner()
    }

    /// The first pictures of a class that can be read.
    fn tiles(&self, class: u8) -> Vec<RgbImage> {
        let mut tiles = Vec::new();
        for part in &self.parts {
            let members = part.labels.iter().enumerate().filter(|(_, label)| **label == class);
            for (index, _) in members {
                if tiles.len() == ACROSS {
                    return tiles;
                }
                let image = match &part.images {
                    Images::Array { shape, levels, .. } => levels
                        .get(index * shape.len()..(index + 1) * shape.len())
                        .map(|levels| picture_of(levels, *shape)),
                    Images::Files(files) => {
                        Picture::open(&files[index]).ok().map(Picture::into_image)
                    }
                };
                tiles.extend(image.map(tile));
            }
        }
        tiles
    }

    /// Digits and letters are taller than wide, in nearly every hand.
    fn is_likely_transposed(&self) -> bool {
        let signs =
            |name: &String| name.len() <= 2 && name.bytes().all(|b| b.is_ascii_alphanumeric());
        let Some(Part { images: Images::Array { shape, levels, .. }, .. }) =
            self.part(Split::Train)
        else {
            return false;
        };
        if shape.channels != 1 || !self.classes.names().iter().all(signs) {
            return false;
        }
        let spans =
            levels.chunks_exact(shape.len()).take(LOOKED_AT).map(|image| spans(image, *shape));
        let (tall, wide) = spans.fold((0, 0), |(tall, wide), (height, width)| {
            (tall + usize::from(height > width), wide + usize::from(width > height))
        });
        let upright = tall as f64 / (tall + wide).max(1) as f64;
        let fills = levels.iter().take(shape.width).any(|level| *level > 200);
        tall + wide > 20 && upright < UPRIGHT && !fills
    }
}

impl Dataset {
    /// An image as a PNG file, to be shown to its owner; `None` beyond the end.
    pub fn png(&self, index: usize) -> Option<Vec<u8>> {
        let mut bytes = Cursor::new(Vec::new());
        let picture = picture_of(self.levels(index)?, self.shape());
        picture.write_to(&mut bytes, ImageFormat::Png).ok()?;
        Some(bytes.into_inner())
    }
}

/// Rows and columns that the bright part of an image spans.
fn spans(image: &[u8], shape: Shape) -> (usize, usize) {
    let span = |count: usize, lit: &dyn Fn(usize) -> bool| {
        let places: Vec<usize> = (0..count).filter(|index| lit(*index)).collect();
        places.last().zip(places.first()).map_or(0, |(last, first)| last - first + 1)
    };
    let at = |y: usize, x: usize| image[y * shape.width + x] > 127;
    let height = span(shape.height, &|y| (0..shape.width).any(|x| at(y, x)));
    let width = span(shape.width, &|x| (0..shape.height).any(|y| at(y, x)));
    (height, width)
}

fn tile(image: DynamicImage) -> RgbImage {
    let classes = Classes::numbered(0);
    let side = TILE as usize;
    let fit = Fit::Pad;
    let pipeline = Pipeline { fit, ..Pipeline::plain(Shape::new(3, side, side), classes) };
    let levels = pipeline.scaled(image);
    let area = side * side;
    RgbImage::from_fn(TILE, TILE, |x, y| {
        let at = y as usize * side + x as usize;
        Rgb([levels[at], levels[area + at], levels[2 * area + at]])
    })
}

fn looked_at(part: &Part) -> Vec<Result<Look, String>> {
    let split = part.split;
    match &part.images {
        Images::Array { shape, levels, .. } => {
            let images = levels.par_chunks_exact(shape.len().max(1)).zip(&part.labels);
            let look = |(image, label): (&[u8], &u8)| {
                let size = (shape.width, shape.height);
                let (colour, digest) = (shape.channels > 1, Sha256::digest(image).into());
                Ok(Look { size, colour, digest, split, label: *label })
            };
            images.map(look).collect()
        }
        Images::Files(files) => {
            let look = |(file, label): (&std::path::PathBuf, &u8)| one(file, split, *label);
            files.par_iter().zip(&part.labels).map(look).collect()
        }
    }
}

fn one(file: &Path, split: Split, label: u8) -> Result<Look, String> {
    let bytes = picture::read(file).map_err(|error| error.to_string())?;
    let picture = Picture::decode(&bytes, file).map_err(|error| error.to_string())?;
    let (width, height) = picture.dimensions();
    Ok(Look {
        size: (width as usize, height as usize),
        colour: picture.has_colour(),
        digest: Sha256::digest(&bytes).into(),
        split,
        label,
    })
}

fn sizes(looks: &[Look]) -> Vec<SizeCount> {
    let mut counts: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    looks.iter().for_each(|look| *counts.entry(look.size).or_default() += 1);
    let size = |((width, height), images)| SizeCount { width, height, images };
    let mut sizes: Vec<SizeCount> = counts.into_iter().map(size).collect();
    sizes.sort_by_key(|size| std::cmp::Reverse(size.images));
    sizes
}

/// What equal contents come to.
struct Contents {
    duplicates: usize,
    tested_on_training: usize,
    contradictions: usize,
}

impl Contents {
    fn of(looks: &[Look]) -> Self {
        let mut groups: HashMap<&[u8; 32], Vec<&Look>> = HashMap::new();
        looks.iter().for_each(|look| groups.entry(&look.digest).or_default().push(look));
        let (mut duplicates, mut tested_on_training, mut contradictions) = (0, 0, 0);
        for group in groups.values().filter(|group| group.len() > 1) {
            duplicates += group.len();
            if group.iter().any(|look| look.split == Split::Train) {
                tested_on_training += group.iter().filter(|look| look.split == Split::Test).count();
            }
            if group.iter().any(|look| look.label != group[0].label) {
                contradictions += group.len();
            }
        }
        Self { duplicates, tested_on_training, contradictions }
    }
}

impl Inspection {
    /// For people, as lines.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        let width = self.classes.iter().map(|c| shown_text(&c.name).chars().count()).max();
        let width = width.unwrap_or(0).max(5);
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "{:width$}  {:>8}  {:>10}  {:>8}",
            "class", "train", "validation", "test"
        );
        for ClassCount { name, train, validation, test } in &self.classes {
            let name = shown_text(name);
            let _ = writeln!(text, "{name:width$}  {train:8}  {validation:10}  {test:8}");
        }
        let sum = |of: fn(&ClassCount) -> usize| self.classes.iter().map(of).sum::<usize>();
        let (train, validation, test) = (sum(|c| c.train), sum(|c| c.validation), sum(|c| c.test));
        let _ = writeln!(text, "{:width$}  {train:8}  {validation:10}  {test:8}\n", "all");
        let sizes = self
            .sizes
            .iter()
            .take(5)
            .map(|size| format!("{}x{} ({})", size.width, size.height, size.images));
        let mut sizes = sizes.collect::<Vec<_>>().join(", ");
        if self.sizes.len() > 5 {
            sizes += &format!(" and {} more", self.sizes.len() - 5);
        }
        let _ = writeln!(text, "sizes       {sizes}");
        let _ = writeln!(text, "colour      {} of {} images", self.in_colour, self.images);
        if let Some(Pipeline { shape, preparation, .. }) = &self.pipeline {
            let kind = if *preparation == Preparation::Digit { "digits at " } else { "" };
            let Shape { channels, height, width } = shape;
            let _ = writeln!(text, "network     takes {kind}{channels}x{height}x{width}");
        }
        let _ = writeln!(text, "duplicates  {}", self.duplicates);
        for line in self.warnings() {
            let _ = writeln!(text, "\n{line}");
        }
        text
    }

    /// What should be looked at before training.
    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> =
            self.notes.iter().map(|note| format!("note: {note}")).collect();
        if self.tested_on_training > 0 {
            warnings.push(format!(
                "warning: {} images to test with are also trained on: the test will flatter",
                self.tested_on_training
            ));
        }
        if self.contradictions > 0 {
            let count = self.contradictions;
            warnings.push(format!("warning: {count} images are in the set under two labels"));
        }
        if let Some(imbalance) = self.imbalance.filter(|imbalance| *imbalance >= 3.0) {
            warnings.push(format!(
                "warning: the largest class has {imbalance:.1} times the images of the smallest; look \
                 at balanced accuracy, not at accuracy"
            ));
        }
        if self.likely_transposed {
            warnings.push(
                "warning: rows and columns are likely exchanged, as in EMNIST: --transpose turns them \
                 back"
                    .to_owned(),
            );
        }
        if !self.unreadable.is_empty() {
            let files = self.unreadable.join("\n  ");
            warnings.push(format!("{} files cannot be read:\n  {files}", self.unreadable.len()));
        }
        warnings
    }
}

impl Found {
    /// Where it lies, as it may be shown.
    pub fn place(&self) -> String {
        shown(&self.path)
    }
}
