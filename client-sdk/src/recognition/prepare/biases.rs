//! The encrypted biases of a stage.

use rayon::prelude::*;
use sphinx_proto::v1::PrepareBiases;
use sphinx_quantise::quantised_bias;
use sphinx_wire::biases;
use zeroize::Zeroizing;

use crate::error::{ClientError, ClientKeyError};
use crate::models::decrypt_bias;
use crate::recognition::Recogniser;
use crate::recognition::model::IntegerModel;

/// Decrypts biases of a version and brings them to the scale of the stage's sums, modulo 2^32.
///
/// Every bias lies on a grid, so this is exact. A bias beyond the bound that every update keeps
/// shows that the secret key is another one.
pub(in crate::recognition) fn decrypt(
    recogniser: &Recogniser,
    model: &IntegerModel,
    stage: usize,
    expected_first: usize,
    message: &PrepareBiases,
) -> Result<Zeroizing<Vec<u32>>, ClientError> {
    let scales = model.stages[stage].scales.get(expected_first..).unwrap_or_default();
    let rows = biases::rows(message, expected_first, scales.len())
        .map_err(|wrong| recogniser.inference.mismatch(wrong))?;
    let rows = rows.par_iter().map(|row| decrypt_bias(row, &recogniser.key));
    let biases: Zeroizing<Vec<f32>> = Zeroizing::new(rows.collect());
    if biases.iter().any(|bias| bias.abs() > model.spec.bias_bound) {
        return Err(ClientKeyError::WrongKey { key_id: model.key_id.to_string() }.into());
    }
    let scaled =
        biases.iter().zip(scales).map(|(&bias, &scale)| quantised_bias(bias, scale) as u32);
    Ok(Zeroizing::new(scaled.collect()))
}
