//! Image by image, in the coefficients of two ciphertexts.

use sphinx_evaluation_keys::{ANSWER_BODY_WIDTH, ANSWER_MASK_WIDTH, Answer, QueryLayout};
use sphinx_he_common::{Instance, Model, Outcome, SubmissionError};
use sphinx_linalg::POLYNOMIAL_SIZE;
use sphinx_secret::SecretKey;

use crate::{features, keys, labels};

pub fn encrypt(instance: Instance, model: &Model) -> Outcome<()> {
    let (key, layout) = (key(instance)?, QueryLayout::new(&model.plan));
    let layout = layout.map_err(SubmissionError::library)?;
    let mut rng = rand::rng();
    for (index, features) in features::read(instance, layout.scalars())?.iter().enumerate() {
        let query = key.encrypt_query(&layout, features, &mut rng);
        let query = query.map_err(SubmissionError::library)?;
        let bytes = [query.seeds.concat(), query.bodies].concat();
        instance.write(format!("ciphertexts_upload/cipher_input_{index}.bin"), &bytes)?;
    }
    Ok(())
}

pub fn decrypt(instance: Instance, model: &Model) -> Outcome<()> {
    let (key, classes) = (key(instance)?, model.plan.classes);
    let mask = POLYNOMIAL_SIZE * ANSWER_MASK_WIDTH.bytes();
    let mut logits = Vec::new();
    for image in 0..instance.images() {
        let file = format!("ciphertexts_download/cipher_result_{image}.bin");
        let bytes = instance.read(file, 8 + mask + classes * ANSWER_BODY_WIDTH.bytes())?;
        let (scale, rest) = bytes.split_at(8);
        let (mask, bodies) = rest.split_at(mask);
        let scale = f64::from_le_bytes(scale.try_into().unwrap_or_default());
        let answer = Answer { mask: mask.to_vec(), bodies: bodies.to_vec(), scale };
        let decrypted = key.decrypt_answer(&answer, classes).map_err(SubmissionError::library)?;
        logits.push(decrypted.into_iter().map(|logit| logit as f32).collect());
    }
    labels::keep(instance, &logits)
}

fn key(instance: Instance) -> Outcome<SecretKey> {
    let coefficients = keys::coefficients(instance, 1)?;
    SecretKey::from_coefficients(&coefficients).map_err(SubmissionError::library)
}
