//! One linear product on ciphertexts, whose blocks share masks.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use sphinx_linalg::{CipherMatrix, PackedMap, Profile, RowCountError, SLOTS, Unit, Upload};
use sphinx_proto::network::direction;
use sphinx_proto::v1::train_request::Part;
use sphinx_proto::v1::train_response::Part as Reply;
use sphinx_proto::v1::{Evaluate, EvaluateResult, OutputRows};
use sphinx_wire::rows::training_rows;
use sphinx_wire::training::{MAX_BLOCKS, MAX_EVALUATION_ROWS};
use tonic::Status;

use crate::error::TrainerError;
use crate::service::TrainerService;
use crate::training::session::Session;
use crate::training::streams::{Inbound, Outbound, out_of_order};

/// Receives the inputs of `call`, multiplies, and sends the results unit by unit as they are ready.
pub(crate) async fn evaluate(
    service: &TrainerService,
    session: &Session,
    call: &Evaluate,
    inbound: &mut Inbound,
    outbound: &Outbound,
) -> Result<(), Status> {
    let product = product(session, call)?;
    let blocks = blocks(call, &product)?;
    let profile = session.geometries.form().profile;
    let inputs = Arc::new(receive(service, &product, (profile, blocks), inbound).await?);
    let header = EvaluateResult {
        call: call.call,
        version: session.state.version,
        rows: product.map().outputs() as u32,
    };
    outbound.send(Reply::Result(header)).await?;
    // Ordered, so that a slow reader holds back the work and not a growing heap of results.
    let in_flight = 2 * service.compute.width();
    let mut outputs = stream::iter(product.units(inputs.columns()))
        .map(|unit| {
            let (product, inputs) = (Arc::clone(&product), Arc::clone(&inputs));
            service.compute.run(move || compute_unit(&product, &unit, &inputs, profile))
        })
        .buffered(in_flight)
        .map_err(TrainerError::from);
    while let Some(rows) = outputs.try_next().await? {
        let rows = rows.map_err(TrainerError::from)?;
        outbound.send(Reply::Output(rows)).await?;
    }
    let map = product.map();
    let multiply_adds = map.multiply_adds() as u64 * inputs.columns() as u64;
    service.work.product(map.inputs() * blocks, map.outputs() * blocks, multiply_adds);
    if call.stage == 0 {
        service.work.images(blocks * SLOTS);
    }
    Ok(())
}

/// The product that a call asks for.
fn product(session: &Session, call: &Evaluate) -> Result<Arc<PackedMap<u32>>, TrainerError> {
    let stages = &session.state.stages;
    let stage = stages.get(call.stage as usize);
    let stage = stage.ok_or(TrainerError::Stage { got: call.stage, stages: stages.len() })?;
    let product = stage.product(direction(call.direction)?).ok_or(TrainerError::BackwardOfFirst)?;
    let expected = product.map().inputs();
    if call.rows as usize != expected {
        return Err(TrainerError::RowsAnnounced { stage: call.stage, got: call.rows, expected });
    }
    Ok(Arc::clone(product))
}

/// The number of blocks of a call, whose bodies are held in memory together.
fn blocks(call: &Evaluate, product: &PackedMap<u32>) -> Result<usize, TrainerError> {
    let blocks = call.blocks.max(1);
    if blocks as usize > MAX_BLOCKS {
        return Err(TrainerError::TooManyBlocks { got: blocks, limit: MAX_BLOCKS });
    }
    let rows = u64::from(blocks) * product.map().inputs() as u64;
    if rows > MAX_EVALUATION_ROWS as u64 {
        return Err(TrainerError::Blocks { got: blocks, rows, limit: MAX_EVALUATION_ROWS });
    }
    Ok(blocks as usize)
}

/// The input rows with the bodies of all blocks.
async fn receive(
    service: &TrainerService,
    product: &PackedMap<u32>,
    (profile, blocks): (Profile, usize),
    inbound: &mut Inbound,
) -> Result<CipherMatrix<u32>, Status> {
    let rows = product.map().inputs();
    let mut upload = Upload::of(profile, rows, blocks);
    while upload.received() < rows {
        let part = inbound.next("an upload").await?;
        let Part::Input(chunk) = part else {
            return Err(out_of_order(&part, "input").into());
        };
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
    product: &PackedMap<u32>,
    unit: &Unit,
    inputs: &CipherMatrix<u32>,
    profile: Profile,
) -> Result<OutputRows, RowCountError> {
    let outputs = product.evaluate(unit, inputs)?;
    let packed = training_rows(profile).pack(&outputs);
    let (masks, bodies) = (packed.masks.into(), packed.bodies.into());
    Ok(OutputRows { rows: outputs.rows, masks, bodies })
}
