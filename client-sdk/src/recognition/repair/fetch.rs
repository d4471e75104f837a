//! Asking the server how two versions differ.

use std::sync::Arc;

use futures::TryStreamExt;
use rayon::prelude::*;
use sphinx_linalg::SparseMap;
use sphinx_proto::v1::inference_client::InferenceClient;
use sphinx_proto::v1::{SyncTicketsRequest, SyncTicketsResponse};
use sphinx_quantise::{integer_map, integer_weight_count};
use sphinx_wire::difference;
use tonic::Streaming;
use zeroize::Zeroizing;

use crate::error::{ClientError, RecognitionError};
use crate::recognition::Recogniser;
use crate::recognition::model::IntegerModel;
use crate::recognition::offload::offload;
use crate::recognition::prepare::Interrupted;
use crate::recognition::repair::difference::{Difference, StageDifference};

/// Brings home what turns tickets of `old` into those of the recogniser's version. A difference that
/// is not that of the two versions spoils the tickets, and shows when the first of them is used.
pub(super) async fn fetch(
    recogniser: &Recogniser,
    old: &Arc<IntegerModel>,
) -> Result<Difference, ClientError> {
    recogniser.opener.guard.admit()?;
    let new = &recogniser.model;
    let request = SyncTicketsRequest {
        model_id: new.model_id.to_string(),
        key_id: new.key_id.to_string(),
        incarnation: new.incarnation.clone(),
        from_version: old.version,
        to_version: new.version,
    };
    let attempt = |channel| {
        let request = request.clone();
        recogniser.counter.sent(&request);
        async move {
            let messages = InferenceClient::new(channel).sync_tickets(request).await?.into_inner();
            match read(recogniser, messages).await {
                Ok(weights) => Ok(Ok(weights)),
                Err(Interrupted::Connection(status)) => Err(status),
                Err(Interrupted::Client(error)) => Ok(Err(error)),
            }
        }
    };
    let weights = recogniser.inference.call(attempt).await??;
    let (old, new) = (Arc::clone(old), Arc::clone(new));
    offload(move || assemble(&old, &new, &weights)).await?
}

/// Reads the differences of all stages.
async fn read(
    recogniser: &Recogniser,
    messages: Streaming<SyncTicketsResponse>,
) -> Result<Vec<Vec<i32>>, Interrupted> {
    let new = &recogniser.model;
    let mut differences = messages.map_ok(|message| {
        recogniser.counter.received(&message);
        message.difference
    });
    let mut stages = Vec::with_capacity(new.stages.len());
    for (index, stage) in new.plan.stages.iter().enumerate() {
        let expected = integer_weight_count(stage);
        let mut weights = Vec::with_capacity(expected);
        while weights.len() < expected {
            let Some(message) = differences.try_next().await?.flatten() else {
                let got = format_args!("{} weights of stage {index}", weights.len());
                return Err(recogniser.inference.protocol(got, expected).into());
            };
            difference::append(&message, index, expected, &mut weights)
                .map_err(|wrong| recogniser.inference.mismatch(wrong))?;
        }
        stages.push(weights);
    }
    match differences.try_next().await? {
        None => Ok(stages),
        Some(_) => Err(recogniser.inference.protocol("another message", "the end").into()),
    }
}

/// The maps and what is added.
fn assemble(
    old: &IntegerModel,
    new: &IntegerModel,
    weights: &[Vec<i32>],
) -> Result<Difference, ClientError> {
    let stages = weights.par_iter().zip(&new.plan.stages).enumerate();
    let stages = stages.map(|(index, (weights, stage))| {
        let (from, to) = (&old.stages[index], &new.stages[index]);
        let map = integer_map(index, stage, weights).map_err(RecognitionError::from)?;
        let mut added = Zeroizing::new(Vec::with_capacity(to.outputs));
        for (old, new) in from.biases.words().iter().zip(to.biases.words()) {
            added.extend(std::iter::repeat_n(new.wrapping_sub(*old), to.rows_per_channel));
        }
        let (map, ticket_bits) = (SparseMap::new(&map), to.ticket_bits);
        Ok(StageDifference { map, added, ticket_bits })
    });
    Ok(Difference { stages: stages.collect::<Result<_, ClientError>>()? })
}
