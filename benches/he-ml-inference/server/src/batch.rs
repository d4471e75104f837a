//! A whole batch at once: one product along the batch axis.

use rayon::prelude::*;
use sphinx_he_common::{Instance, Model, Outcome, SubmissionError};
use sphinx_linalg::{PackedMap, SEED_BYTES, SLOTS, Upload};
use sphinx_wire::rows::training_rows;

/// Input rows that are expanded together.
const ROWS: usize = 64;

pub fn compute(instance: Instance, model: &Model, blocks: usize) -> Outcome<()> {
    let product = PackedMap::new(model.product()?.map);
    let (profile, inputs) = (Model::PROFILE, product.map().inputs());
    let row = blocks * SLOTS * profile.width().bytes();
    let bytes = instance.read("ciphertexts_upload/batch.bin", inputs * (SEED_BYTES + row))?;
    let (seeds, bodies) = bytes.split_at(inputs * SEED_BYTES);
    let mut upload = Upload::of(profile, inputs, blocks);
    let chunks = seeds.chunks(ROWS * SEED_BYTES).zip(bodies.chunks(ROWS * row));
    for (index, (seeds, bodies)) in chunks.enumerate() {
        upload.push(index * ROWS, seeds, bodies).map_err(SubmissionError::library)?;
    }
    drop(bytes);
    let inputs = upload.finish().map_err(SubmissionError::library)?;
    let units = product.units(inputs.columns());
    let outputs = units.par_iter().map(|unit| product.evaluate(unit, &inputs));
    let outputs: Vec<_> = outputs.collect::<Result<_, _>>().map_err(SubmissionError::library)?;
    // Row after row: its number, its mask, its bodies.
    let (form, mut file) = (training_rows(profile), Vec::new());
    for output in &outputs {
        let packed = form.pack(output);
        let masks = packed.masks.chunks_exact(form.mask_bytes());
        let halves = masks.zip(packed.bodies.chunks_exact(blocks * form.body_bytes()));
        for (number, (mask, bodies)) in output.rows.iter().zip(halves) {
            file.extend(number.to_le_bytes());
            file.extend(mask);
            file.extend(bodies);
        }
    }
    instance.write("ciphertexts_download/batch.bin", &file)
}
