//! A product under keys of its own, every slot of it checked.

use std::time::Duration;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_check::{Limbs, project, random, thread_cpu};
use sphinx_gradient::Tensor;
use sphinx_linalg::SLOTS;
use sphinx_secret::{BlockKeys, Tally};
use sphinx_wire::rows::rows_per_upload;
use sphinx_wire::training::{decode, encode};

use super::{Biases, Evaluation, RowServer, UploadRows};
use crate::error::ClientError;

/// What a product came to.
pub(crate) enum Checked {
    /// One tensor of outputs × slots per block.
    Right(Vec<Tensor>),
    /// Some slot of some row is not what the weights make of the inputs: what came instead, of
    /// which nothing may be made but by an experiment.
    Wrong(Vec<Tensor>),
}

/// Generators of one product.
pub(crate) struct Fresh {
    /// Of keys, τ and masks.
    pub keys: ChaCha20Rng,
    /// Of the noise of each block.
    pub errors: Vec<ChaCha20Rng>,
}

impl Fresh {
    /// From the operating system, for this call alone, so that a copied process repeats no mask.
    pub fn from_system(blocks: usize) -> Self {
        let fresh = || ChaCha20Rng::from_rng(&mut crate::secure_rng());
        Self { keys: fresh(), errors: (0..blocks).map(|_| fresh()).collect() }
    }
}

/// CPU time of this side's threads that checks took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CheckCost(pub Duration);

/// Has a server evaluate a product on blocks of values and checks every slot, blank ones too,
/// before anything is made of the result.
///
/// Keys and the random τ are drawn from `fresh` for this one product and forgotten with it: what
/// they protect stays closed whatever becomes of other keys.
pub(crate) fn evaluate(
    server: &mut dyn RowServer,
    evaluation: &Evaluation<'_>,
    blocks: &[&Tensor],
    fresh: Fresh,
    cost: &mut CheckCost,
) -> Result<Checked, ClientError> {
    let Fresh { keys: mut rng, mut errors } = fresh;
    let keys = BlockKeys::generate(evaluation.profile, evaluation.blocks, &mut rng)?;
    let start = thread_cpu();
    let tau = random(evaluation.outputs(), &mut rng);
    let projected = project(&evaluation.product.map, &tau);
    let mut sent = Tally::new(Limbs::new(&projected), evaluation.blocks);
    let mut received = Tally::new(Limbs::new(&tau), evaluation.blocks);
    cost.0 += thread_cpu() - start;

    server.announce(evaluation)?;
    let (inputs, step) = (evaluation.inputs(), rows_per_upload(evaluation.blocks));
    let fill = |row: usize, messages: &mut [i32]| {
        let (scale, limit) = (evaluation.scale, evaluation.limit);
        match evaluation.biases {
            Biases::Sent { values, unit } if row >= inputs - values.len() => {
                let bias = values[row + values.len() - inputs] * unit;
                let mut own = [0];
                encode(&[bias], scale, limit, &mut own);
                messages.fill(own[0]);
            }
            Biases::None | Biases::Added(_) | Biases::Sent { .. } => {
                for (messages, block) in messages.chunks_exact_mut(SLOTS).zip(blocks) {
                    encode(block.row(row), scale, limit, messages);
                }
            }
        }
    };
    for first_row in (0..inputs).step_by(step) {
        let rows = (first_row, step.min(inputs - first_row));
        let rows = keys.encrypt_rows(rows, (&mut rng, &mut errors), fill, &mut sent);
        let (seeds, bodies) = (rows.seeds.into(), rows.bodies.into());
        server.send(UploadRows { first_row, seeds, bodies })?;
    }
    let tensors = decrypt(server, evaluation, &keys, &mut received)?;

    cost.0 += sent.cpu() + received.cpu();
    let start = thread_cpu();
    let right = sent.finish() == received.finish();
    cost.0 += thread_cpu() - start;
    Ok(if right { Checked::Right(tensors) } else { Checked::Wrong(tensors) })
}

/// Decrypts every row to its places, one in the tensor of each block.
fn decrypt(
    server: &mut dyn RowServer,
    evaluation: &Evaluation<'_>,
    keys: &BlockKeys,
    tally: &mut Tally,
) -> Result<Vec<Tensor>, ClientError> {
    let outputs = evaluation.outputs();
    let mut tensors = Vec::with_capacity(evaluation.blocks);
    for _ in 0..evaluation.blocks {
        tensors.push(Tensor::zeros(outputs, SLOTS)?);
    }
    let mut places: Vec<Vec<&mut [f32]>> = (0..outputs).map(|_| Vec::new()).collect();
    for tensor in &mut tensors {
        let rows = tensor.as_mut_slice().chunks_exact_mut(SLOTS);
        places.iter_mut().zip(rows).for_each(|(place, row)| place.push(row));
    }
    let product = evaluation.product;
    let place = |row: u32, places: Vec<&mut [f32]>, integers: &[i32]| {
        let channel = row as usize / product.rows_per_channel;
        let bias = match evaluation.biases {
            Biases::Added(values) => values[channel],
            Biases::None | Biases::Sent { .. } => 0.0,
        };
        for (place, integers) in places.into_iter().zip(integers.chunks_exact(SLOTS)) {
            decode(integers, product.scales[channel], bias, place);
        }
    };
    while let Some(result) = server.receive()? {
        let rows = result.rows.iter();
        let own = rows.map(|&row| std::mem::take(&mut places[row as usize])).collect();
        let halves = (&*result.masks, &*result.bodies);
        keys.decrypt_rows(halves, &result.rows, own, tally, place)?;
    }
    drop(places);
    Ok(tensors)
}
