//! A whole batch along the slots of ciphertexts, every product of it checked.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_check::{Limbs, project, random};
use sphinx_he_common::{Instance, Model, Outcome, SubmissionError};
use sphinx_linalg::SLOTS;
use sphinx_secret::{BlockKeys, Tally};
use sphinx_wire::rows::training_rows;
use sphinx_wire::training::{decode, encode, forward_budget, forward_input_scale};

use crate::{features, keys, labels};

/// τ, then what the products have to add up to in every slot.
const CHECK: &str = "secret_key/check.bin";

pub fn encrypt(instance: Instance, model: &Model, blocks: usize) -> Outcome<()> {
    let (product, keys) = (model.product()?, keys(instance, blocks)?);
    let (inputs, outputs) = (product.map.inputs(), product.map.outputs());
    let features = features::read(instance, inputs)?;
    let mut rng = ChaCha20Rng::from_rng(&mut rand::rng());
    let tau = random(outputs, &mut rng);
    let mut tally = Tally::new(Limbs::new(&project(&product.map, &tau)), blocks);
    let stage = &model.plan.stages[0];
    let scale = forward_input_scale(stage, Model::PROFILE);
    let limit = forward_budget(stage, Model::PROFILE).largest_message() as i32;
    let fill = |row: usize, messages: &mut [i32]| {
        messages.fill(0);
        let column: Vec<f32> = features.iter().map(|image| image[row]).collect();
        encode(&column, scale, limit, messages);
    };
    let mut noise: Vec<_> = (0..blocks).map(|_| ChaCha20Rng::from_rng(&mut rng)).collect();
    let rows = keys.encrypt_rows((0, inputs), (&mut rng, &mut noise), fill, &mut tally);
    let residues: Vec<u64> = tau.into_iter().chain(tally.finish()).collect();
    let residues: Vec<u8> = residues.iter().flat_map(|residue| residue.to_le_bytes()).collect();
    keys::secret(instance, CHECK, &residues)?;
    instance.write("ciphertexts_upload/batch.bin", &[rows.seeds, rows.bodies].concat())
}

pub fn decrypt(instance: Instance, model: &Model, blocks: usize) -> Outcome<()> {
    let (product, keys) = (model.product()?, keys(instance, blocks)?);
    let (outputs, slots) = (product.map.outputs(), blocks * SLOTS);
    let residues = instance.read(CHECK, (outputs + slots) * 8)?;
    let residues = residues.as_chunks::<8>().0.iter().map(|bytes| u64::from_le_bytes(*bytes));
    let residues: Vec<u64> = residues.collect();
    let (tau, expected) = residues.split_at(outputs);
    let form = training_rows(Model::PROFILE);
    let (mask, bodies) = (form.mask_bytes(), blocks * form.body_bytes());
    let file = instance.read("ciphertexts_download/batch.bin", outputs * (4 + mask + bodies))?;
    let (mut numbers, mut masks, mut words) = (Vec::new(), Vec::new(), Vec::new());
    for row in file.chunks_exact(4 + mask + bodies) {
        let (number, halves) = row.split_at(4);
        numbers.push(u32::from_le_bytes(number.try_into().unwrap_or_default()));
        masks.extend(&halves[..mask]);
        words.extend(&halves[mask..]);
    }
    let mut seen = numbers.clone();
    seen.sort_unstable();
    if !seen.into_iter().eq(0..outputs as u32) {
        let (path, got) = (instance.io("ciphertexts_download/batch.bin"), "rows".to_owned());
        return Err(SubmissionError::Content { path, got, expected: "every row once".into() });
    }
    let mut rows = vec![vec![0f32; slots]; outputs];
    let mut places: Vec<Option<&mut Vec<f32>>> = rows.iter_mut().map(Some).collect();
    let own = numbers.iter().map(|&number| places[number as usize].take()).collect();
    let mut tally = Tally::new(Limbs::new(tau), blocks);
    let place = |row: u32, place: Option<&mut Vec<f32>>, integers: &[i32]| {
        let (scale, bias) = (product.scales[row as usize], model.biases[row as usize]);
        if let Some(values) = place {
            decode(integers, scale, bias, values);
        }
    };
    let decrypted = keys.decrypt_rows((&masks, &words), &numbers, own, &mut tally, place);
    decrypted.map_err(SubmissionError::library)?;
    if tally.finish() != expected {
        return Err(SubmissionError::WrongProduct);
    }
    let image = |index: usize| rows.iter().map(|row| row[index]).collect();
    labels::keep(instance, &(0..instance.images()).map(image).collect::<Vec<_>>())
}

fn keys(instance: Instance, blocks: usize) -> Outcome<BlockKeys> {
    let coefficients = keys::coefficients(instance, blocks)?;
    BlockKeys::from_coefficients(Model::PROFILE, &coefficients).map_err(SubmissionError::library)
}
