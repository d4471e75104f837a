//! Checks a spec and cuts it into stages.

use crate::activation::{Activation, MAX_LEVELS};
use crate::error::SpecError;
use crate::plan::at::{At, MAX_ROWS, is_positive};
use crate::plan::{Linear, Plan, Stage, Stem};
use crate::spec::{Filters, LayerSpec, NetworkSpec, Shape};
use crate::steps::{Step, StepOp};

/// Most layers of a network.
pub const MAX_LAYERS: usize = 256;
/// Most weights of a network, so that a tenant cannot exhaust a server's memory by a few lines of
/// TOML.
pub const MAX_WEIGHTS: usize = 16 << 20;
/// Most multiply-adds of one stage per sample; also bounds the row numbers that are stored of its
/// map.
pub const MAX_MULTIPLY_ADDS: usize = 128 << 20;

/// Side of the smallest kernel that holds a wave.
const MIN_GABOR: usize = 3;

impl Plan {
    /// Checks `spec` and cuts it into stages.
    ///
    /// - A dense layer flattens what it gets.
    /// - The stem, if there is one, comes first.
    /// - Pool windows must cover the map; those of an average pool do not overlap.
    /// - An average pool right after a convolution is folded into the server's map; after an
    ///   activation or on the image it is the client's. A max pool is always the client's.
    /// - Every linear layer needs bounded inputs: the image, or an activation since the last linear
    ///   layer.
    /// - The last layer is dense and yields the logits.
    ///
    /// # Errors
    /// A [`SpecError`] that names the layer, what it got and what was expected.
    pub fn new(spec: &NetworkSpec) -> Result<Self, SpecError> {
        check_head(spec)?;
        let (stem, length) = Stem::new(spec)?;
        let mut builder = Builder::new(spec.input, stem);
        for (index, layer) in spec.layers.iter().enumerate().skip(length) {
            builder.push(At { layer: index, kind: layer.kind() }, layer)?;
        }
        builder.finish(spec)
    }
}

fn check_head(spec: &NetworkSpec) -> Result<(), SpecError> {
    let limit = MAX_ROWS;
    match spec.input {
        got if got.is_empty() => return Err(SpecError::EmptyInput { got }),
        got if got.len() > limit => return Err(SpecError::InputTooLarge { got, limit }),
        _ => {}
    }
    if !is_positive(spec.bias_bound) {
        return Err(SpecError::BiasBound { got: spec.bias_bound });
    }
    if spec.layers.len() > MAX_LAYERS {
        return Err(SpecError::TooManyLayers { got: spec.layers.len(), limit: MAX_LAYERS });
    }
    Ok(())
}

struct Builder {
    input: Shape,
    stem: Stem,
    input_steps: Vec<Step>,
    stages: Vec<Stage>,
    /// Shape after the layers so far.
    shape: Shape,
    /// Whether a dense or flatten layer has made the map a vector.
    flat: bool,
    /// Bound of the values after the layers so far; none right after a linear layer.
    bound: Option<f32>,
    last_linear: Option<At>,
    weights: usize,
}

impl Builder {
    fn new(input: Shape, stem: Stem) -> Self {
        Self {
            input,
            input_steps: Vec::new(),
            stages: Vec::new(),
            shape: stem.output,
            flat: false,
            bound: Some(stem.bound()),
            stem,
            last_linear: None,
            weights: 0,
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the spec says which of the other kinds are activations"
    )]
    fn push(&mut self, at: At, layer: &LayerSpec) -> Result<(), SpecError> {
        match *layer {
            LayerSpec::Conv { out_channels, kernel, stride, padding, filters } => {
                at.check_size("out_channels", out_channels)?;
                at.check_size("kernel", kernel)?;
                at.check_size("stride", stride)?;
                self.conv(at, [out_channels, kernel, stride, padding])?;
                self.start(at, kernel, filters)
            }
            LayerSpec::Dense { outputs } => {
                at.check_size("outputs", outputs)?;
                self.flatten();
                let linear = Linear::Dense { inputs: self.shape.len(), outputs };
                self.linear(at, linear, Shape::flat(outputs))
            }
            LayerSpec::AvgPool { size } => self.avg_pool(at, size),
            LayerSpec::MaxPool { size, stride } => {
                let stride = stride.unwrap_or(size);
                let output = self.pooled(at, size, stride)?;
                self.step(StepOp::MaxPool { size, stride }, output);
                Ok(())
            }
            LayerSpec::Flatten => {
                self.flatten();
                Ok(())
            }
            _ => match layer.activation() {
                Some(activation) => self.activation(at, activation),
                None => Err(SpecError::LateStem { layer: at.layer, kind: at.kind }),
            },
        }
    }

    fn conv(
        &mut self,
        at: At,
        [out_channels, kernel, stride, padding]: [usize; 4],
    ) -> Result<(), SpecError> {
        let At { layer, kind } = at;
        let got = self.map(at)?;
        if padding >= kernel {
            return Err(SpecError::PaddingTooLarge { layer, kind, got: padding, kernel });
        }
        let expected = kernel.saturating_sub(2 * padding);
        if got.height < expected || got.width < expected {
            return Err(SpecError::KernelTooLarge { layer, kind, got, expected, kernel, padding });
        }
        let positions = |side: usize| (side + 2 * padding - kernel) / stride + 1;
        let output = Shape::new(out_channels, positions(got.height), positions(got.width));
        let in_channels = got.channels;
        let linear = Linear::Conv { in_channels, out_channels, kernel, stride, padding };
        self.linear(at, linear, output)
    }

    /// What the convolution just added starts from.
    fn start(&mut self, at: At, kernel: usize, filters: Filters) -> Result<(), SpecError> {
        if filters == Filters::Gabor && kernel < MIN_GABOR {
            let At { layer, kind } = at;
            return Err(SpecError::GaborKernel { layer, kind, got: kernel, least: MIN_GABOR });
        }
        if let Some(stage) = self.stages.last_mut() {
            stage.filters = filters;
        }
        Ok(())
    }

    fn linear(&mut self, at: At, linear: Linear, output: Shape) -> Result<(), SpecError> {
        let At { layer, kind } = at;
        let Some(input_bound) = self.bound else {
            let previous = self.last_linear.map_or(layer, |previous| previous.layer);
            return Err(SpecError::UnboundedInput { layer, kind, previous });
        };
        if output.len() > MAX_ROWS {
            return Err(SpecError::TooManyRows { layer, kind, got: output, limit: MAX_ROWS });
        }
        self.weights = self.weights.saturating_add(linear.weight_count());
        if self.weights > MAX_WEIGHTS {
            let (got, limit) = (self.weights, MAX_WEIGHTS);
            return Err(SpecError::TooManyWeights { layer, kind, got, limit });
        }
        let stage = Stage {
            linear,
            filters: Filters::Random,
            pool: None,
            input: self.shape,
            linear_output: output,
            output,
            input_bound,
            steps: Vec::new(),
        };
        at.check_cost(&stage)?;
        self.stages.push(stage);
        self.shape = output;
        self.bound = None;
        self.last_linear = Some(at);
        Ok(())
    }

    fn avg_pool(&mut self, at: At, size: usize) -> Result<(), SpecError> {
        let output = self.pooled(at, size, size)?;
        match self.stages.last_mut() {
            Some(stage) if stage.steps.is_empty() => {
                // The mean of means over windows that tile each other is the mean over the larger
                // window.
                stage.pool = Some(stage.pool.unwrap_or(1) * size);
                stage.output = output;
                at.check_cost(stage)?;
                self.shape = output;
            }
            Some(_) | None => self.step(StepOp::AvgPool { size }, output),
        }
        Ok(())
    }

    fn activation(&mut self, at: At, activation: Activation) -> Result<(), SpecError> {
        let At { layer, kind } = at;
        if let Activation::Relu { cap } = activation
            && !is_positive(cap)
        {
            return Err(SpecError::Cap { layer, kind, got: cap });
        }
        if let Activation::QuantisedTanh { levels } = activation
            && !(2..=MAX_LEVELS).contains(&levels)
        {
            return Err(SpecError::Levels { layer, kind, got: levels, limit: MAX_LEVELS });
        }
        self.step(StepOp::Activation(activation), self.shape);
        self.bound = Some(activation.bound());
        Ok(())
    }

    fn step(&mut self, op: StepOp, output: Shape) {
        let step = Step { op, input: self.shape, output };
        match self.stages.last_mut() {
            Some(stage) => stage.steps.push(step),
            None => self.input_steps.push(step),
        }
        self.shape = output;
    }

    fn flatten(&mut self) {
        self.shape = Shape::flat(self.shape.len());
        self.flat = true;
    }

    fn map(&self, at: At) -> Result<Shape, SpecError> {
        if self.flat {
            let got = self.shape.len();
            return Err(SpecError::NotAMap { layer: at.layer, kind: at.kind, got });
        }
        Ok(self.shape)
    }

    fn pooled(&self, at: At, size: usize, stride: usize) -> Result<Shape, SpecError> {
        at.check_size("size", size)?;
        at.check_range("stride", stride, size)?;
        let got = self.map(at)?;
        let windows = |side: usize| {
            let rest = side.checked_sub(size).filter(|rest| rest.is_multiple_of(stride))?;
            Some(rest / stride + 1)
        };
        let At { layer, kind } = at;
        match (windows(got.height), windows(got.width)) {
            (Some(height), Some(width)) => Ok(Shape::new(got.channels, height, width)),
            _ => Err(SpecError::PoolDoesNotDivide { layer, kind, got, size, stride }),
        }
    }

    fn finish(self, spec: &NetworkSpec) -> Result<Plan, SpecError> {
        let (Some(last), Some(stage)) = (self.last_linear, self.stages.last()) else {
            return Err(SpecError::NoLinearLayer);
        };
        let At { layer, kind } = last;
        let classes = match stage.linear {
            Linear::Dense { outputs, .. } => outputs,
            Linear::Conv { .. } => {
                return Err(SpecError::MissingFinalDense { layer, kind, got: stage.output });
            }
        };
        if let Some(after) = spec.layers.get(layer + 1) {
            let (layer, kind) = (layer + 1, after.kind());
            return Err(SpecError::LayerAfterLogits { layer, kind, classes });
        }
        if classes < 2 {
            return Err(SpecError::TooFewClasses { layer, kind, got: classes });
        }
        let Self { input, stem, input_steps, stages, .. } = self;
        Ok(Plan { input, stem, input_steps, stages, classes })
    }
}

impl At {
    fn check_cost(self, stage: &Stage) -> Result<(), SpecError> {
        let Self { layer, kind } = self;
        let taps = match stage.linear {
            Linear::Conv { in_channels, kernel, stride, .. } => {
                let side = kernel.saturating_add((stage.pool.unwrap_or(1) - 1) * stride);
                in_channels.saturating_mul(side).saturating_mul(side)
            }
            Linear::Dense { inputs, .. } => inputs,
        };
        let (got, limit) = (taps.saturating_mul(stage.output.len()), MAX_MULTIPLY_ADDS);
        if got > limit {
            return Err(SpecError::TooManyMultiplyAdds { layer, kind, got, limit });
        }
        Ok(())
    }
}
