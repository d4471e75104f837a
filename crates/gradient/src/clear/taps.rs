//! Linear layers as sparse maps: for every position of the output map, the inputs it gathers.

use sphinx_network::{Linear, Shape, Stage};

/// A layer without its weights. All channels of an output position share its taps.
pub(super) struct TapMap {
    inputs: usize,
    channels: usize,
    /// Taps of position p: `taps[starts[p]..starts[p + 1]]`.
    starts: Vec<usize>,
    taps: Vec<Tap>,
}

/// One input of a position, and the row of the weights `[tap][channel]` it is multiplied by.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tap {
    pub(super) input: u32,
    pub(super) weights: u32,
}

impl TapMap {
    /// From `stage.input` to `stage.linear_output`.
    pub(super) fn forward(stage: &Stage) -> Self {
        match stage.linear {
            Linear::Dense { inputs, outputs } => Self::dense(inputs, outputs),
            Linear::Conv { kernel, stride, padding, .. } => {
                let source =
                    |position: usize, tap: usize| (position * stride + tap).checked_sub(padding);
                Self::conv(stage.input, stage.linear_output, kernel, source)
            }
        }
    }

    /// The transpose, from `stage.linear_output` to `stage.input`.
    pub(super) fn backward(stage: &Stage) -> Self {
        match stage.linear {
            Linear::Dense { inputs, outputs } => Self::dense(outputs, inputs),
            Linear::Conv { kernel, stride, padding, .. } => {
                let source = |position: usize, tap: usize| {
                    let distance = (position + padding).checked_sub(tap)?;
                    distance.is_multiple_of(stride).then_some(distance / stride)
                };
                Self::conv(stage.linear_output, stage.input, kernel, source)
            }
        }
    }

    pub(super) fn inputs(&self) -> usize {
        self.inputs
    }

    pub(super) fn channels(&self) -> usize {
        self.channels
    }

    pub(super) fn positions(&self) -> usize {
        self.starts.len() - 1
    }

    pub(super) fn taps(&self, position: usize) -> &[Tap] {
        &self.taps[self.starts[position]..self.starts[position + 1]]
    }

    fn dense(inputs: usize, outputs: usize) -> Self {
        let taps = (0..inputs as u32).map(|input| Tap { input, weights: input });
        Self { inputs, channels: outputs, starts: vec![0, inputs], taps: taps.collect() }
    }

    /// `source(position, k)` is the line (column) of the input that kernel line (column) k meets at
    /// an output line (column), before the far border is checked.
    fn conv(
        input: Shape,
        output: Shape,
        kernel: usize,
        source: impl Fn(usize, usize) -> Option<usize>,
    ) -> Self {
        let (mut starts, mut taps) = (vec![0], Vec::new());
        for position in 0..output.height * output.width {
            let (y, x) = (position / output.width, position % output.width);
            for tap in 0..input.channels * kernel * kernel {
                let (channel, ky, kx) =
                    (tap / (kernel * kernel), tap / kernel % kernel, tap % kernel);
                let line = source(y, ky).filter(|&line| line < input.height);
                let column = source(x, kx).filter(|&column| column < input.width);
                if let (Some(line), Some(column)) = (line, column) {
                    let row = (channel * input.height + line) * input.width + column;
                    taps.push(Tap { input: row as u32, weights: tap as u32 });
                }
            }
            starts.push(taps.len());
        }
        Self { inputs: input.len(), channels: output.channels, starts, taps }
    }
}
