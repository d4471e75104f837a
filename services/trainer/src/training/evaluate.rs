//! One linear product on blocks of ciphertexts.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use sphinx_linalg::{CipherMatrix, RowCountError, Unit, Upload};
use sphinx_network::Direction;
use sphinx_proto::network::direction;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Evaluate, EvaluateResult, OutputRows};
use sphinx_wire::rows::TRAINING_ROWS;
use sphinx_wire::training::MAX_EVALUATION_ROWS;
use tokio::sync::mpsc;
use tonic::Status;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::prepared::Product;
use crate::training::session::Session;
use crate::training::streams::{Inbound, Outbound, out_of_order};

/// Receives the inputs of `call` block by block, multiplies, and sends the results unit by unit as
/// they are ready, those of a block while the next one arrives.
pub(crate) async fn evaluate(
    service: &TrainerService,
    session: &Session,
    call: &Evaluate,
    inbound: &mut Inbound,
    outbound: &Outbound,
) -> Result<(), Status> {
    let product = product(session, call)?;
    let blocks = blocks(call, &product)?;
    // Room for all of them: a client may send everything before it reads.
    let (complete, mut waiting) = mpsc::channel(blocks);
    let receive = async {
        for block in 0..blocks {
            let inputs = receive(service, &product, block, inbound).await?;
            // The other half has ended only if the client is gone, which it reports itself.
            let _ = complete.send(inputs).await;
        }
        drop(complete);
        Ok(())
    };
    let answer = async {
        for block in 0..blocks {
            let Some(inputs) = waiting.recv().await else { return Ok(()) };
            if block == 0 {
                outbound.send(Reply::Result(header(session, call, &product))).await?;
            }
            answer(service, &product, block, inputs, outbound).await?;
        }
        Ok(())
    };
    tokio::try_join!(receive, answer).map(|((), ())| ())
}

fn header(session: &Session, call: &Evaluate, product: &Product) -> EvaluateResult {
    EvaluateResult {
        call: call.call,
        version: session.state.version,
        scales: product.scales.clone(),
        rows: product.map.map().outputs() as u32,
    }
}

/// Computes and sends the results of one block.
async fn answer(
    service: &TrainerService,
    product: &Arc<Product>,
    block: usize,
    inputs: CipherMatrix<u32>,
    outbound: &Outbound,
) -> Result<(), Status> {
    let inputs = Arc::new(inputs);
    // Ordered, so that a slow reader holds back the work and not a growing heap of results.
    let in_flight = 2 * service.compute.width();
    let mut outputs = stream::iter(product.map.units())
        .map(|unit| {
            let (product, inputs) = (Arc::clone(product), Arc::clone(&inputs));
            service.compute.run(move || compute_unit(&product, &unit, &inputs, block))
        })
        .buffered(in_flight)
        .map_err(TrainerError::from);
    while let Some(rows) = outputs.try_next().await? {
        let rows = rows.map_err(TrainerError::from)?;
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

/// The number of blocks of a call, whose rows are held in memory together.
fn blocks(call: &Evaluate, product: &Product) -> Result<usize, TrainerError> {
    let blocks = call.blocks.max(1);
    let rows = u64::from(blocks) * product.map.map().inputs() as u64;
    if rows > MAX_EVALUATION_ROWS as u64 {
        return Err(TrainerError::Blocks { got: blocks, rows, limit: MAX_EVALUATION_ROWS });
    }
    Ok(blocks as usize)
}

/// The input rows of one block.
async fn receive(
    service: &TrainerService,
    product: &Product,
    block: usize,
    inbound: &mut Inbound,
) -> Result<CipherMatrix<u32>, Status> {
    let rows = product.map.map().inputs();
    let mut upload = Upload::new(rows, TRAINING_ROWS.upload);
    while upload.received() < rows {
        let part = inbound.next("an upload").await?;
        let Part::Input(chunk) = part else {
            return Err(out_of_order(&part, "input").into());
        };
        if chunk.block as usize != block {
            return Err(TrainerError::BlockOrder { got: chunk.block, expected: block }.into());
        }
        let (back, stored) = service
            .compute
            .run(move || {
                let first_row = chunk.first_row as usize;
                let stored = upload.push(first_row, &chunk.seeds, &chunk.bodies);
                (upload, stored)
            })
            .await
            .map_err(TrainerError::from)?;
        stored.map_err(TrainerError::from)?;
        upload = back;
    }
    Ok(upload.finish().map_err(TrainerError::from)?)
}

fn compute_unit(
    product: &Product,
    unit: &Unit,
    inputs: &CipherMatrix<u32>,
    block: usize,
) -> Result<OutputRows, RowCountError> {
    let mut outputs = product.map.evaluate(unit, inputs)?;
    if let Some(biases) = &product.biases {
        biases.add_to(&mut outputs, product.rows_per_channel);
    }
    let packed = TRAINING_ROWS.pack(&outputs);
    let (masks, bodies) = (packed.masks.into(), packed.bodies.into());
    Ok(OutputRows { rows: outputs.rows, masks, bodies, block: block as u32 })
}
