//! The fixed layers at the start of a network, evaluated.

use std::sync::Arc;

use sphinx_network::{Plan, Shape, StemOp, StemStep};

use crate::deskew::deskew;
use crate::error::FeatureError;
use crate::scattering::{Scattering, Workspace, normalise_groups};

/// Computes what a network gets of an image. Clones share filters; threads may share one.
#[derive(Debug, Clone)]
pub struct PublicStem {
    input: Shape,
    output: Shape,
    /// Smallest and largest value of a feature.
    range: (f32, f32),
    steps: Vec<Step>,
}

#[derive(Debug, Clone)]
enum Step {
    Deskew(Shape),
    Normalise { mean: f32, gain: f32 },
    Scatter { scattering: Arc<Scattering>, groups: usize, step: StemStep },
}

/// A stem with the memory to apply it; one per thread.
#[derive(Debug)]
pub struct StemWorker<'a> {
    stem: &'a PublicStem,
    /// One per step that needs one.
    workspaces: Vec<Workspace>,
}

impl PublicStem {
    /// The stem of a network; most have none, and [`PublicStem::apply`] then changes nothing.
    ///
    /// # Errors
    /// [`FeatureError::Scattering`] for images too large to be scattered.
    pub fn new(plan: &Plan) -> Result<Self, FeatureError> {
        let steps = plan.stem.steps.iter().map(Step::new).collect::<Result<_, _>>()?;
        let range = (plan.stem.low, plan.stem.high);
        Ok(Self { input: plan.input, output: plan.stem.output, range, steps })
    }

    /// Whether the network gets the pixels themselves.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Number of scalars that it makes of an image.
    pub fn outputs(&self) -> usize {
        self.output.len()
    }

    /// The features of an image, whose pixels lie in [0, 1], channel by channel.
    ///
    /// # Errors
    /// [`FeatureError::ImageLength`].
    pub fn apply(&self, image: &[f32]) -> Result<Vec<f32>, FeatureError> {
        self.worker().apply(image)
    }

    /// Smallest and largest value of a feature.
    pub fn range(&self) -> (f32, f32) {
        self.range
    }

    /// The stem with memory of its own.
    pub fn worker(&self) -> StemWorker<'_> {
        let workspaces = self.steps.iter().filter_map(|step| match step {
            Step::Deskew(_) | Step::Normalise { .. } => None,
            Step::Scatter { scattering, .. } => Some(scattering.workspace()),
        });
        StemWorker { stem: self, workspaces: workspaces.collect() }
    }
}

impl Step {
    fn new(step: &StemStep) -> Result<Self, FeatureError> {
        Ok(match step.op {
            StemOp::Deskew => Self::Deskew(step.input),
            StemOp::Normalise { mean, deviation } => {
                Self::Normalise { mean, gain: 1.0 / deviation }
            }
            StemOp::Scatter { scales, angles, groups } => {
                let scattering =
                    Scattering::new(step.input.height, step.input.width, scales, angles)?;
                Self::Scatter { scattering: Arc::new(scattering), groups, step: *step }
            }
        })
    }
}

impl StemWorker<'_> {
    /// As [`PublicStem::apply`].
    ///
    /// # Errors
    /// As [`PublicStem::apply`].
    pub fn apply(&mut self, image: &[f32]) -> Result<Vec<f32>, FeatureError> {
        let (got, expected) = (image.len(), self.stem.input.len());
        if got != expected {
            return Err(FeatureError::ImageLength { got, expected });
        }
        let mut values = image.to_vec();
        let mut workspaces = self.workspaces.iter_mut();
        for step in &self.stem.steps {
            match step {
                Step::Deskew(shape) => values = deskew(&values, *shape),
                Step::Normalise { mean, gain } => {
                    values.iter_mut().for_each(|value| *value = (*value - mean) * gain);
                }
                Step::Scatter { scattering, groups, step: StemStep { input, output, .. } } => {
                    let Some(workspace) = workspaces.next() else { continue };
                    let mut features = vec![0.0; output.len()];
                    let (area, share) = (input.height * input.width, output.len() / input.channels);
                    let channels = values.chunks_exact(area).zip(features.chunks_exact_mut(share));
                    for (channel, features) in channels {
                        scattering.transform(channel, workspace, features)?;
                    }
                    normalise_groups(&mut features, *groups)?;
                    values = features;
                }
            }
        }
        if !self.stem.is_empty() {
            let (low, high) = self.stem.range;
            values.iter_mut().for_each(|value| *value = value.clamp(low, high));
        }
        Ok(values)
    }
}
