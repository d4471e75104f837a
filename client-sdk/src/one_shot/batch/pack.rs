//! Images along the slots of blocks, and logits back.

use rayon::prelude::*;
use sphinx_gradient::Tensor;
use sphinx_linalg::SLOTS;
use sphinx_network::apply_steps;
use zeroize::Zeroizing;

use super::Layer;
use crate::error::ClientError;
use crate::recognition::Prediction;

/// Features of images, a tensor of features × slots per block.
pub(super) struct Packed {
    pub blocks: Vec<Tensor>,
    pub images: usize,
}

/// What the network's public stem makes of images.
pub(super) fn features(
    layer: &Layer,
    images: Vec<Vec<f32>>,
) -> Result<Vec<Zeroizing<Vec<f32>>>, ClientError> {
    let steps = &layer.opened.plan.input_steps;
    images
        .into_par_iter()
        .map_init(
            || layer.stem.worker(),
            |worker, image| {
                let image = Zeroizing::new(image);
                Ok(Zeroizing::new(apply_steps(steps, worker.apply(&image)?)))
            },
        )
        .collect()
}

/// From image after image to feature after feature; slots without an image are zero.
pub(super) fn blocks(
    features: &[Zeroizing<Vec<f32>>],
    inputs: usize,
) -> Result<Packed, ClientError> {
    let mut blocks = Vec::new();
    for images in features.chunks(SLOTS) {
        let mut block = Tensor::zeros(inputs, SLOTS)?;
        let rows = block.as_mut_slice().par_chunks_exact_mut(SLOTS).enumerate();
        rows.for_each(|(row, slots)| {
            slots.iter_mut().zip(images).for_each(|(slot, image)| *slot = image[row]);
        });
        blocks.push(block);
    }
    Ok(Packed { blocks, images: features.len() })
}

/// The first `images` columns of blocks of logits × slots.
pub(super) fn predictions(blocks: &[Tensor], images: usize) -> Vec<Prediction> {
    let column = |index: usize| {
        let rows = blocks[index / SLOTS].as_slice().chunks_exact(SLOTS);
        Prediction::new(rows.map(|row| row[index % SLOTS]).collect())
    };
    (0..images).map(column).collect()
}
