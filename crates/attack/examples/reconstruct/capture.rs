//! A cloud that remembers what it was sent.

use prost::Message;
use sphinx_client::{ClientError, Direction, LinearCloud, Traffic, Update};
use sphinx_gradient::Tensor;
use sphinx_proto::v1::TrainRequest;
use sphinx_proto::v1::commit_chunk::Part;
use sphinx_proto::v1::train_request::Part as Request;

/// Stands between the training loop and the cloud that it trains by.
pub struct Tap<'a> {
    cloud: &'a mut dyn LinearCloud,
    /// Gradient of the weights by stage as the last commit carried it: from its bytes where there are any.
    pub gradient: Vec<Vec<f32>>,
    /// What the server cannot read.
    pub bias_change: Vec<Vec<f32>>,
}

impl<'a> Tap<'a> {
    pub fn new(cloud: &'a mut dyn LinearCloud) -> Self {
        Self { cloud, gradient: Vec::new(), bias_change: Vec::new() }
    }
}

/// The weights' gradient in the messages of a commit, as the trainer reads it.
fn gradient_of(mut sealed: &[u8], stages: usize) -> Result<Vec<Vec<f32>>, prost::DecodeError> {
    let mut gradient = vec![Vec::new(); stages];
    while !sealed.is_empty() {
        let message = TrainRequest::decode_length_delimited(&mut sealed)?;
        if let Some(Request::CommitChunk(chunk)) = message.part
            && let Some(Part::Gradient(part)) = chunk.part
            && let Some(stage) = gradient.get_mut(part.stage as usize)
        {
            let words = part.values.chunks_exact(4);
            stage.extend(words.map(|w| f32::from_le_bytes([w[0], w[1], w[2], w[3]])));
        }
    }
    Ok(gradient)
}

impl LinearCloud for Tap<'_> {
    fn version(&self) -> u64 {
        self.cloud.version()
    }

    fn biases(&self) -> &[Vec<f32>] {
        self.cloud.biases()
    }

    fn evaluate(
        &mut self,
        stage: usize,
        direction: Direction,
        input: &Tensor,
    ) -> Result<Tensor, ClientError> {
        self.cloud.evaluate(stage, direction, input)
    }

    fn seal(&mut self, update: &Update) -> Result<Vec<u8>, ClientError> {
        self.cloud.seal(update)
    }

    fn commit(&mut self, step: u64, sealed: &[u8], update: &Update) -> Result<(), ClientError> {
        self.gradient = if sealed.is_empty() {
            update.gradient.clone()
        } else {
            gradient_of(sealed, update.gradient.len())
                .map_err(|error| ClientError::Task { cause: error.to_string() })?
        };
        self.bias_change.clone_from(&update.bias_change);
        self.cloud.commit(step, sealed, update)
    }

    fn reopen(&mut self, step: u64) -> Result<bool, ClientError> {
        self.cloud.reopen(step)
    }

    fn traffic(&self) -> Traffic {
        self.cloud.traffic()
    }
}
