//! What the client computes from its images once, in the clear, by public constants.
//!
//! Only shapes and bounds are needed here: whoever does not hold the images never computes a stem.

use crate::error::SpecError;
use crate::plan::at::{At, MAX_ROWS, is_positive};
use crate::spec::{LayerSpec, NetworkSpec, Shape};

/// Features of a scattering transform are clipped to `±` this after group normalisation.
pub const SCATTER_BOUND: f32 = 8.0;
/// Most scales of a scattering transform.
pub const MAX_SCALES: usize = 6;
/// Most angles of a scattering transform.
pub const MAX_ANGLES: usize = 16;

/// The fixed, public layers at the start of a network. Their output takes the place of the image
/// everywhere.
#[derive(Debug, Clone, PartialEq)]
pub struct Stem {
    /// The layers in order; none if the network starts from pixels.
    pub steps: Vec<StemStep>,
    /// What they yield.
    pub output: Shape,
    /// Smallest value they yield.
    pub low: f32,
    /// Largest value they yield.
    pub high: f32,
}

/// A layer of a stem with its shapes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StemStep {
    /// The layer.
    pub op: StemOp,
    /// Shape before it.
    pub input: Shape,
    /// Shape after it.
    pub output: Shape,
}

/// What a layer of a stem computes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StemOp {
    /// Shears an image until its strokes stand upright ([`LayerSpec::Deskew`]).
    Deskew,
    /// `(x - mean) / deviation`.
    Normalise {
        /// What is subtracted.
        mean: f32,
        /// What is divided by.
        deviation: f32,
    },
    /// Scattering transform, group normalisation and clipping to `±`[`SCATTER_BOUND`].
    Scatter {
        /// Number of scales J.
        scales: usize,
        /// Number of angles L.
        angles: usize,
        /// Number of groups.
        groups: usize,
    },
}

impl Stem {
    /// The largest absolute value it yields.
    pub fn bound(&self) -> f32 {
        self.low.abs().max(self.high.abs())
    }

    /// Whether the network starts from pixels.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// The stem of a spec and the number of its layers.
    pub(super) fn new(spec: &NetworkSpec) -> Result<(Self, usize), SpecError> {
        let mut stem = Self { steps: Vec::new(), output: spec.input, low: 0.0, high: 1.0 };
        for (index, layer) in spec.layers.iter().enumerate() {
            let at = At { layer: index, kind: layer.kind() };
            if matches!(layer, LayerSpec::Deskew) {
                stem.deskew(at)?;
            } else if let LayerSpec::Normalise { mean, deviation } = *layer {
                stem.normalise(at, mean, deviation)?;
            } else if let LayerSpec::Scatter { scales, angles, groups } = *layer {
                stem.scatter(at, [scales, angles, groups])?;
            } else {
                break;
            }
        }
        let length = stem.steps.len();
        Ok((stem, length))
    }

    /// Values between pixels are means of pixels, and black comes in from outside: the range stays
    /// that of pixels.
    fn deskew(&mut self, at: At) -> Result<(), SpecError> {
        if !self.is_empty() {
            return Err(SpecError::NotFirst { layer: at.layer, kind: at.kind });
        }
        self.push(StemOp::Deskew, self.output);
        Ok(())
    }

    fn normalise(&mut self, at: At, mean: f32, deviation: f32) -> Result<(), SpecError> {
        let At { layer, kind } = at;
        let error =
            |field, got, expected| SpecError::Constant { layer, kind, field, got, expected };
        if !mean.is_finite() {
            return Err(error("mean", mean, "a finite number"));
        }
        if !is_positive(deviation) {
            return Err(error("deviation", deviation, "a positive finite number"));
        }
        let apply = |value: f32| (value - mean) / deviation;
        let (low, high) = (apply(self.low), apply(self.high));
        if !(low.is_finite() && high.is_finite() && low < high) {
            let expected = "one that keeps pixels apart from each other and finite";
            return Err(error("deviation", deviation, expected));
        }
        self.push(StemOp::Normalise { mean, deviation }, self.output);
        (self.low, self.high) = (low, high);
        Ok(())
    }

    fn scatter(&mut self, at: At, [scales, angles, groups]: [usize; 3]) -> Result<(), SpecError> {
        at.check_range("scales", scales, MAX_SCALES)?;
        at.check_range("angles", angles, MAX_ANGLES)?;
        at.check_size("groups", groups)?;
        let (At { layer, kind }, got) = (at, self.output);
        let expected = 1 << scales;
        if got.height < expected || got.width < expected {
            return Err(SpecError::MapTooSmall { layer, kind, got, expected });
        }
        let paths = 1 + scales * angles + angles * angles * scales * (scales - 1) / 2;
        let channels = got.channels.saturating_mul(paths);
        let output = Shape::new(channels, got.height >> scales, got.width >> scales);
        if output.len() > MAX_ROWS {
            return Err(SpecError::TooManyRows { layer, kind, got: output, limit: MAX_ROWS });
        }
        if !channels.is_multiple_of(groups) {
            return Err(SpecError::Groups { layer, kind, channels, groups });
        }
        self.push(StemOp::Scatter { scales, angles, groups }, output);
        (self.low, self.high) = (-SCATTER_BOUND, SCATTER_BOUND);
        Ok(())
    }

    fn push(&mut self, op: StemOp, output: Shape) {
        self.steps.push(StemStep { op, input: self.output, output });
        self.output = output;
    }
}
