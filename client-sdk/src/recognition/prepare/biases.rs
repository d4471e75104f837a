//! The encrypted biases of a stage.

use rayon::prelude::*;
use sphinx_linalg::{BIAS_WIDTH, POLYNOMIAL_SIZE, ROW_WORDS, unpack};
use sphinx_proto::v1::PrepareBiases;
use sphinx_quantise::quantised_bias;
use zeroize::Zeroizing;

use crate::error::ClientError;
use crate::models::decrypt_bias;
use crate::recognition::Recogniser;
use crate::recognition::model::IntegerModel;

const MASK_BYTES: usize = POLYNOMIAL_SIZE * BIAS_WIDTH.bytes();
const BODY_BYTES: usize = BIAS_WIDTH.bytes();

/// Decrypts biases of a version and brings them to the scale of the stage's sums, modulo 2^32.
///
/// Every bias lies on a grid, so this is exact. A bias beyond the bound that every update keeps shows that the
/// secret key is another one.
pub(in crate::recognition) fn decrypt(
    recogniser: &Recogniser,
    model: &IntegerModel,
    stage: usize,
    expected_first: usize,
    message: &PrepareBiases,
) -> Result<Zeroizing<Vec<u32>>, ClientError> {
    let scales = model.stages[stage].scales.get(expected_first..).unwrap_or_default();
    let (first, masks, bodies) = (message.first as usize, &message.masks, &message.bodies);
    let count = bodies.len() / BODY_BYTES;
    let sound = first == expected_first
        && (1..=scales.len()).contains(&count)
        && (masks.len(), bodies.len()) == (count * MASK_BYTES, count * BODY_BYTES);
    if !sound {
        let (masks, bodies) = (masks.len(), bodies.len());
        let got = format!("{masks} and {bodies} bytes of biases from {first} on");
        let left = scales.len();
        let expected = format!("1 to {left} biases of 12288 and 6 bytes from {expected_first} on");
        return Err(recogniser.inference.protocol(got, expected));
    }
    let rows = masks.par_chunks_exact(MASK_BYTES).zip(bodies.par_chunks_exact(BODY_BYTES));
    let biases: Zeroizing<Vec<f32>> = Zeroizing::new(
        rows.map(|(mask, body)| {
            let mut row = vec![0u64; ROW_WORDS];
            unpack(mask, BIAS_WIDTH, &mut row[..POLYNOMIAL_SIZE]);
            unpack(body, BIAS_WIDTH, &mut row[POLYNOMIAL_SIZE..=POLYNOMIAL_SIZE]);
            decrypt_bias(&row, &recogniser.key)
        })
        .collect(),
    );
    if biases.iter().any(|bias| bias.abs() > model.spec.bias_bound) {
        return Err(ClientError::WrongKey { key_id: model.key_id.to_string() });
    }
    let scaled =
        biases.iter().zip(scales).map(|(&bias, &scale)| quantised_bias(bias, scale) as u32);
    Ok(Zeroizing::new(scaled.collect()))
}
