//! The answer to `Prepare`: header, encrypted biases, then result rows as they are finished.

use std::sync::Arc;

use futures::{Stream, StreamExt, TryStreamExt, stream};
use sphinx_linalg::{BIAS_WIDTH, CipherMatrix, POLYNOMIAL_SIZE, ROW_WORDS, Unit, Width, pack};
use sphinx_proto::v1::{
    PrepareBiases, PrepareOutput, PrepareRequest, PrepareResponse, PrepareResult,
    prepare_response::Part,
};
use tonic::{Status, Streaming};

use super::{Preparation, upload};
use crate::{error::InferenceError, model::StoredBiases};

/// Width of the results' words; with it the rounding adds about as much noise as the encryption has.
const RESULT_WIDTH: Width = Width::Five;
/// Bytes of a result's mask or body.
const HALF_BYTES: usize = POLYNOMIAL_SIZE * RESULT_WIDTH.bytes();
/// Biases per message: 0.8 MB.
const BIASES_PER_MESSAGE: usize = 64;

pub(super) fn stream(
    preparation: Preparation,
    parts: Streaming<PrepareRequest>,
) -> impl Stream<Item = Result<PrepareResponse, Status>> + Send + 'static {
    let head = head(&preparation);
    let results = async move {
        let inputs = upload::receive(&preparation, parts).await?;
        Ok::<_, Status>(results(Arc::new(preparation), Arc::new(inputs)))
    };
    stream::iter(head).map(Ok).chain(stream::once(results).try_flatten())
}

/// The messages that do not depend on the inputs. Their masks are copied once, about 1 ms per 100 biases.
fn head(preparation: &Preparation) -> Vec<PrepareResponse> {
    let stage = &preparation.stage;
    let result = Part::Result(PrepareResult {
        version: preparation.version,
        rows: stage.outputs() as u32,
        biases: stage.biases.len() as u32,
    });
    let biases: Vec<_> = stage.biases.rows().collect();
    let biases = biases.chunks(BIASES_PER_MESSAGE).enumerate().map(|(index, rows)| {
        let masks: Vec<u8> = rows.iter().flat_map(|(mask, _)| *mask).copied().collect();
        let bodies: Vec<u8> = rows.iter().flat_map(|(_, body)| first_word(body)).copied().collect();
        let first = (index * BIASES_PER_MESSAGE) as u32;
        Part::Biases(PrepareBiases { first, masks: masks.into(), bodies: bodies.into() })
    });
    std::iter::once(result).chain(biases).map(|part| PrepareResponse { part: Some(part) }).collect()
}

/// The bytes of the first word of a packed body: the first piece of each plane.
fn first_word(body: &[u8]) -> impl Iterator<Item = &u8> {
    const { assert!(StoredBiases::HALF_BYTES == POLYNOMIAL_SIZE * 6 && BIAS_WIDTH.bytes() == 6) };
    let (high, low) = body.split_at(POLYNOMIAL_SIZE * 4);
    high.iter().take(4).chain(low.iter().take(2))
}

/// Result rows, unit by unit; a bounded number of units is computed ahead of what the client reads.
fn results(
    preparation: Arc<Preparation>,
    inputs: Arc<CipherMatrix<u64>>,
) -> impl Stream<Item = Result<PrepareResponse, Status>> + Send + 'static {
    let (units, ahead) = (preparation.stage.cipher.units(), preparation.units_under_way());
    let compute = move |unit: Unit| {
        let (preparation, inputs) = (Arc::clone(&preparation), Arc::clone(&inputs));
        async move {
            let pool = preparation.compute.clone();
            let result = pool.run(move || output(&preparation, &unit, &inputs)).await;
            Ok(result.map_err(InferenceError::from)??)
        }
    };
    stream::iter(units).map(compute).buffer_unordered(ahead)
}

/// Computes and packs the rows of one unit: at most 1.3 MB.
fn output(
    preparation: &Preparation,
    unit: &Unit,
    inputs: &CipherMatrix<u64>,
) -> Result<PrepareResponse, InferenceError> {
    let outputs = preparation.stage.cipher.evaluate(unit, inputs)?;
    let mut masks = vec![0; outputs.rows.len() * HALF_BYTES];
    let mut bodies = vec![0; outputs.rows.len() * HALF_BYTES];
    let packed = masks.chunks_exact_mut(HALF_BYTES).zip(bodies.chunks_exact_mut(HALF_BYTES));
    for (words, (mask, body)) in outputs.words.chunks_exact(ROW_WORDS).zip(packed) {
        let (mask_words, body_words) = words.split_at(POLYNOMIAL_SIZE);
        pack(mask_words, RESULT_WIDTH, mask);
        pack(body_words, RESULT_WIDTH, body);
    }
    let (masks, bodies) = (masks.into(), bodies.into());
    let output = PrepareOutput { rows: outputs.rows, masks, bodies };
    Ok(PrepareResponse { part: Some(Part::Output(output)) })
}
