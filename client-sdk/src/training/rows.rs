//! Ciphertext rows in, ciphertext rows out: one linear product as the server does it.
//!
//! [`RowServer`] is the seam under a session. On this side of it values are encrypted and
//! decrypted ([`RowCodec`]); on the other, rows are multiplied, by the trainer ([`TrainerRows`]) or
//! by a wrapper that does more with them on their way.

mod codec;
mod trainer;

use bytes::Bytes;
use sphinx_gradient::Tensor;
use sphinx_linalg::SLOTS;

pub(crate) use self::codec::RowCodec;
pub(crate) use self::trainer::TrainerRows;
use crate::error::ClientError;
use crate::training::evaluator::Direction;

/// One linear product on some blocks of 2048 slots.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Evaluation {
    pub stage: usize,
    pub direction: Direction,
    pub blocks: usize,
    /// Input rows of a block.
    pub inputs: usize,
    /// Output rows of a block.
    pub outputs: usize,
    /// Channels of the output, each with a scale of its own and equally many rows.
    pub channels: usize,
    /// Integers per unit of input.
    pub scale: f64,
}

/// Input rows on their way up: 16 bytes of seed and N words of four bytes per row.
pub(crate) struct UploadRows {
    pub block: usize,
    pub first_row: usize,
    pub seeds: Bytes,
    pub bodies: Bytes,
}

/// Result rows as they come down, whole and each for the first time.
pub(crate) struct ResultRows {
    pub block: usize,
    pub rows: Vec<u32>,
    pub masks: Bytes,
    pub bodies: Bytes,
}

/// Multiplies ciphertext rows. For each evaluation: [`announce`](Self::announce), all input rows
/// block by block, [`scales`](Self::scales), then result rows until all have come.
pub(crate) trait RowServer {
    /// Begins an evaluation.
    fn announce(&mut self, evaluation: &Evaluation) -> Result<(), ClientError>;

    /// Takes the next input rows.
    fn send(&mut self, rows: UploadRows) -> Result<(), ClientError>;

    /// Integers per unit of result, one per channel; the same for all blocks.
    fn scales(&mut self) -> Result<Vec<f64>, ClientError>;

    /// The next result rows, `None` once all have come.
    fn receive(&mut self) -> Result<Option<ResultRows>, ClientError>;
}

/// Has a server evaluate a product on blocks of values: one tensor of outputs × slots per block.
pub(crate) fn evaluate(
    server: &mut dyn RowServer,
    codec: &mut RowCodec<'_>,
    evaluation: &Evaluation,
    blocks: &[&Tensor],
) -> Result<Vec<Tensor>, ClientError> {
    server.announce(evaluation)?;
    for (block, input) in blocks.iter().enumerate() {
        codec.encrypt(input, evaluation.scale, |first_row, rows| {
            let (seeds, bodies) = (rows.seeds.into(), rows.bodies.into());
            server.send(UploadRows { block, first_row, seeds, bodies })
        })?;
    }
    let scales = server.scales()?;
    let mut tensors = Vec::with_capacity(blocks.len());
    for _ in blocks {
        tensors.push(Tensor::zeros(evaluation.outputs, SLOTS)?);
    }
    let rows_per_channel = evaluation.outputs / evaluation.channels;
    {
        // Every row is decrypted to its place in its tensor.
        let mut places: Vec<Vec<Option<&mut [f32]>>> = tensors
            .iter_mut()
            .map(|tensor| tensor.as_mut_slice().chunks_exact_mut(SLOTS).map(Some).collect())
            .collect();
        while let Some(result) = server.receive()? {
            let block = &mut places[result.block];
            let rows = result.rows.iter().filter_map(|&row| block[row as usize].take()).collect();
            let scale = |index: usize| scales[result.rows[index] as usize / rows_per_channel];
            codec.decrypt(&result.masks, &result.bodies, rows, scale)?;
        }
    }
    Ok(tensors)
}
