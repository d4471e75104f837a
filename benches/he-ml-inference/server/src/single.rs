//! Image by image: products with the weights, logits packed.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use sphinx_bootstrap::{Control, DEFAULT_HALF_RANGE, OneShotModel, OneShotNetwork, PreparedKeys};
use sphinx_evaluation_keys::{EvaluationKeys, OneShotProfile, Query};
use sphinx_he_common::{Instance, Model, Outcome, SubmissionError};
use sphinx_linalg::SEED_BYTES;

pub fn compute(instance: Instance, model: &Model) -> Outcome<()> {
    let path = instance.io("public_keys/packing.eval");
    let material = std::fs::read(&path).map_err(|source| SubmissionError::File { path, source })?;
    let keys = EvaluationKeys::from_bytes(&material).map_err(SubmissionError::library)?;
    let keys = PreparedKeys::new(&keys);
    let (profile, weights) = (OneShotProfile::Packing, std::slice::from_ref(&model.weights));
    let (bound, range) = (model.bias_bound, DEFAULT_HALF_RANGE);
    let network = OneShotNetwork::new(profile, &model.plan, weights, bound, range);
    let network = Arc::new(network.map_err(SubmissionError::library)?);
    let biases = std::slice::from_ref(&model.biases);
    let ready = OneShotModel::in_the_clear(Arc::clone(&network), biases);
    let ready = ready.map_err(SubmissionError::library)?;
    let (layout, going_on) = (network.layout(), AtomicBool::new(false));
    let control = Control::new(&going_on, &|_| ());
    let seeds = layout.ciphertexts() * SEED_BYTES;
    for image in 0..instance.images() {
        let file = format!("ciphertexts_upload/cipher_input_{image}.bin");
        let bytes = instance.read(file, seeds + layout.body_bytes())?;
        let (seeds, bodies) = bytes.split_at(seeds);
        let query = Query::from_parts(seeds, bodies.to_vec(), layout);
        let query = query.map_err(SubmissionError::library)?;
        let answer = ready.evaluate(&keys, &query, &control).map_err(SubmissionError::library)?;
        let bytes = [&answer.scale.to_le_bytes()[..], &answer.mask, &answer.bodies].concat();
        instance.write(format!("ciphertexts_download/cipher_result_{image}.bin"), &bytes)?;
    }
    Ok(())
}
