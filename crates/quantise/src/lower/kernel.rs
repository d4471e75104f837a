//! The real-valued weight matrix of a stage: pooling folded in, in the order of the result's
//! channels.

use sphinx_network::{Direction, Linear, Shape, Stage};

/// A stage as one convolution without pooling: a dense layer is a kernel of side 1, and convolution
/// followed by average pooling over `p × p` is a kernel of side `k + (p - 1)·stride` at `p` times
/// the stride.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KernelShape {
    pub padding: usize,
    in_channels: usize,
    out_channels: usize,
    side: usize,
    stride: usize,
    pool: usize,
}

/// Most inputs that one forward result of a stage is a sum over.
pub(crate) fn forward_taps(stage: &Stage) -> usize {
    KernelShape::new(stage).row_length(Direction::Forward)
}

impl KernelShape {
    pub fn new(stage: &Stage) -> Self {
        let pool = stage.pool.unwrap_or(1);
        match stage.linear {
            Linear::Conv { in_channels, out_channels, kernel, stride, padding } => {
                Self { in_channels, out_channels, side: kernel, stride, padding, pool }
            }
            Linear::Dense { inputs, outputs } => Self {
                in_channels: inputs,
                out_channels: outputs,
                side: 1,
                stride: 1,
                padding: 0,
                pool: 1,
            },
        }
    }

    /// The stage's input and output maps as this kernel sees them.
    pub fn maps(&self, stage: &Stage) -> (Shape, Shape) {
        match stage.linear {
            Linear::Conv { .. } => (stage.input, stage.output),
            Linear::Dense { inputs, outputs } => (Shape::flat(inputs), Shape::flat(outputs)),
        }
    }

    pub fn folded_side(&self) -> usize {
        self.side + (self.pool - 1) * self.stride
    }

    pub fn folded_stride(&self) -> usize {
        self.stride * self.pool
    }

    pub fn weight_count(&self) -> usize {
        self.in_channels * self.out_channels * self.side * self.side
    }

    pub fn result_channels(&self, direction: Direction) -> usize {
        match direction {
            Direction::Forward => self.out_channels,
            Direction::Backward => self.in_channels,
        }
    }

    /// Taps of the folded kernel for one result channel.
    pub fn row_length(&self, direction: Direction) -> usize {
        let sources = match direction {
            Direction::Forward => self.in_channels,
            Direction::Backward => self.out_channels,
        };
        sources * self.folded_side() * self.folded_side()
    }

    /// The matrix `[result channel][source channel][ky][kx]` of the folded kernel, in f64.
    pub fn matrix(&self, weights: &[f32], direction: Direction) -> Vec<f64> {
        let plane = self.side * self.side;
        let folded = self.folded_side() * self.folded_side();
        let mut matrix = vec![0.0; self.in_channels * self.out_channels * folded];
        for (index, source) in weights.chunks_exact(plane).enumerate() {
            let (out_channel, in_channel) = (index / self.in_channels, index % self.in_channels);
            let place = match direction {
                Direction::Forward => index,
                Direction::Backward => in_channel * self.out_channels + out_channel,
            };
            self.fold(source, &mut matrix[place * folded..][..folded]);
        }
        matrix
    }

    /// Adds the kernel at each place of the pooling window, divided by the window's size.
    fn fold(&self, source: &[f32], target: &mut [f64]) {
        let share = 1.0 / (self.pool * self.pool) as f64;
        for window in 0..self.pool * self.pool {
            let (y, x) = (window / self.pool * self.stride, window % self.pool * self.stride);
            for (ky, line) in source.chunks_exact(self.side).enumerate() {
                let start = (y + ky) * self.folded_side() + x;
                for (sum, &weight) in target[start..].iter_mut().zip(line) {
                    *sum += f64::from(weight) * share;
                }
            }
        }
    }
}
