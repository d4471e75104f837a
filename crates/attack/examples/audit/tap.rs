//! A twin that remembers every step.

use sphinx_client::{ClearTwin, ClientError, Direction, LinearCloud, Traffic, Update};
use sphinx_gradient::Tensor;
use sphinx_network::StageParameters;

/// One step as the attacker sees it.
pub struct Seen {
    /// The parameters that the gradient was computed on; the biases are granted to the attacker.
    pub before: Vec<StageParameters>,
    /// The noised gradient of the weights, divided by the expected batch size.
    pub gradient: Vec<Vec<f32>>,
}

/// Stands between the training loop and the twin.
pub struct Tap<'a> {
    twin: &'a mut ClearTwin,
    pub seen: Vec<Seen>,
}

impl<'a> Tap<'a> {
    pub fn new(twin: &'a mut ClearTwin) -> Self {
        Self { twin, seen: Vec::new() }
    }
}

impl LinearCloud for Tap<'_> {
    fn version(&self) -> u64 {
        self.twin.version()
    }

    fn biases(&self) -> &[Vec<f32>] {
        self.twin.biases()
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        input: &Tensor,
    ) -> Result<Tensor, ClientError> {
        self.twin.evaluate(stage, direction, input)
    }

    fn seal(&mut self, update: &Update) -> Result<Vec<u8>, ClientError> {
        self.twin.seal(update)
    }

    fn commit(&mut self, step: u64, sealed: &[u8], update: &Update) -> Result<(), ClientError> {
        let (before, gradient) = (self.twin.parameters().to_vec(), update.gradient.clone());
        self.seen.push(Seen { before, gradient });
        self.twin.commit(step, sealed, update)
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        self.twin.reopen(step)
    }

    fn traffic(&self) -> Traffic {
        self.twin.traffic()
    }
}
