//! One linear product on one block of ciphertexts.

use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use sphinx_linalg::{
    CipherMatrix, POLYNOMIAL_SIZE, ROW_WORDS, RowCountError, Unit, Upload, Width, pack,
};
use sphinx_network::Direction;
use sphinx_proto::network::direction;
use sphinx_proto::to_status;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Evaluate, EvaluateResult, OutputRows};
use tonic::Status;

use crate::error::TrainerError;
use crate::rpc::train::out_of_order;
use crate::service::TrainerService;
use crate::training::prepared::Product;
use crate::training::session::Session;
use crate::training::streams::{Inbound, Outbound};

/// Bytes per word on the wire: uploaded bodies whole, results rounded (docs/cryptography.md).
const UPLOAD_WIDTH: Width = Width::Four;
const MASK_WIDTH: Width = Width::Three;
const BODY_WIDTH: Width = Width::Two;

/// Receives the inputs of `call`, multiplies, and sends the results unit by unit as they are ready.
pub(crate) async fn evaluate(
    service: &TrainerService,
    session: &Session,
    call: &Evaluate,
    inbound: &mut Inbound,
    outbound: &Outbound,
) -> Result<(), Status> {
    let product = product(session, call).map_err(to_status)?;
    let inputs = Arc::new(receive(service, &product, inbound).await?);
    let result = EvaluateResult {
        call: call.call,
        version: session.state.version,
        scales: product.scales.clone(),
        rows: product.map.map().outputs() as u32,
    };
    outbound.send(Reply::Result(result)).await?;
    // Ordered, so that a slow reader holds back the work and not a growing heap of results.
    let in_flight = 2 * service.compute.width();
    let mut outputs = stream::iter(product.map.units())
        .map(|unit| {
            let (product, inputs) = (Arc::clone(&product), Arc::clone(&inputs));
            service.compute.run(move || compute_unit(&product, &unit, &inputs))
        })
        .buffered(in_flight)
        .map_err(TrainerError::from);
    while let Some(rows) = outputs.try_next().await.map_err(to_status)? {
        let rows = rows.map_err(|error| to_status(TrainerError::from(error)))?;
        outbound.send(Reply::Output(rows)).await?;
    }
    Ok(())
}

/// The product that a call asks for.
fn product(session: &Session, call: &Evaluate) -> Result<Arc<Product>, TrainerError> {
    let stages = &session.state.stages;
    let stage = stages.get(call.stage as usize);
    let stage = stage.ok_or(TrainerError::Stage { got: call.stage, stages: stages.len() })?;
    let product = match direction(call.direction)? {
        Direction::Forward => &stage.forward,
        Direction::Backward => stage.backward.as_ref().ok_or(TrainerError::BackwardOfFirst)?,
    };
    let expected = product.map.map().inputs();
    if call.rows as usize != expected {
        return Err(TrainerError::RowsAnnounced { stage: call.stage, got: call.rows, expected });
    }
    Ok(Arc::clone(product))
}

async fn receive(
    service: &TrainerService,
    product: &Product,
    inbound: &mut Inbound,
) -> Result<CipherMatrix<u32>, Status> {
    let rows = product.map.map().inputs();
    let mut upload = Upload::new(rows, UPLOAD_WIDTH);
    while upload.received() < rows {
        let part = inbound.next("an upload").await?;
        let Part::Input(chunk) = part else {
            return Err(to_status(out_of_order(&part, "input")));
        };
        let (back, stored) = service
            .compute
            .run(move || {
                let first_row = chunk.first_row as usize;
                let stored = upload.push(first_row, &chunk.seeds, &chunk.bodies);
                (upload, stored)
            })
            .await
            .map_err(to_status)?;
        stored.map_err(|error| to_status(TrainerError::from(error)))?;
        upload = back;
    }
    upload.finish().map_err(|error| to_status(TrainerError::from(error)))
}

fn compute_unit(
    product: &Product,
    unit: &Unit,
    inputs: &CipherMatrix<u32>,
) -> Result<OutputRows, RowCountError> {
    let mut outputs = product.map.evaluate(unit, inputs)?;
    if let Some(biases) = &product.biases {
        biases.add_to(&mut outputs, product.rows_per_channel);
    }
    let (mask_row, body_row) =
        (POLYNOMIAL_SIZE * MASK_WIDTH.bytes(), POLYNOMIAL_SIZE * BODY_WIDTH.bytes());
    let mut masks = vec![0; outputs.rows.len() * mask_row];
    let mut bodies = vec![0; outputs.rows.len() * body_row];
    let packed = masks.chunks_exact_mut(mask_row).zip(bodies.chunks_exact_mut(body_row));
    for (words, (mask, body)) in outputs.words.chunks_exact(ROW_WORDS).zip(packed) {
        let (mask_words, body_words) = words.split_at(POLYNOMIAL_SIZE);
        pack(mask_words, MASK_WIDTH, mask);
        pack(body_words, BODY_WIDTH, body);
    }
    Ok(OutputRows { rows: outputs.rows, masks: Bytes::from(masks), bodies: Bytes::from(bodies) })
}
