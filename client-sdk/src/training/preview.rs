//! What a training will come to, before it starts.

use sphinx_privacy::Epsilon;

use crate::error::ClientError;
use crate::training::options::{Privacy, TrainingOptions};

/// The schedule of a training on a data set of known size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Preview {
    /// Updates of the model.
    pub steps: u64,
    /// Expected examples per step, `None` without privacy.
    pub expected_batch: Option<u64>,
    /// Standard deviation of the noise over the clipping norm, `None` without privacy.
    pub noise_multiplier: Option<f64>,
    /// ε of the whole training, if nothing was spent before; `None` where none is proven.
    pub epsilon: Option<Epsilon>,
}

impl TrainingOptions {
    /// Plans the training without starting it. Takes about 30 ms.
    ///
    /// # Errors
    /// [`ClientError`] if the privacy budget cannot be met or hyper-parameters make no sense.
    pub fn preview(&self, examples: usize) -> Result<Preview, ClientError> {
        let planned = self.plan(examples)?;
        let plan = planned.privacy.as_ref();
        // What the noise of exact biases was chosen by is no ε.
        let proven = plan.filter(|_| matches!(self.privacy, Privacy::Budget { .. }));
        Ok(Preview {
            steps: planned.steps,
            expected_batch: plan.map(|plan| plan.expected_batch),
            noise_multiplier: plan.map(|plan| plan.segment.noise_multiplier.get()),
            epsilon: proven.map(|plan| plan.epsilon),
        })
    }
}
