//! From logits to labels.

use sphinx_he_common::{Instance, Model, Outcome};

use crate::keys;

const FILE: &str = "intermediate/logits.bin";

/// Keeps the logits of every image.
pub fn keep(instance: Instance, logits: &[Vec<f32>]) -> Outcome<()> {
    let bytes: Vec<u8> = logits.iter().flatten().flat_map(|logit| logit.to_le_bytes()).collect();
    keys::secret(instance, FILE, &bytes)
}

/// Writes the label of every image, one a line.
pub fn choose(instance: Instance, model: &Model) -> Outcome<()> {
    let classes = model.plan.classes;
    let bytes = instance.read(FILE, instance.images() * classes * 4)?;
    let logits = bytes.as_chunks::<4>().0.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let logits: Vec<f32> = logits.collect();
    let labels = logits.chunks_exact(classes).map(|logits| {
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1));
        format!("{}\n", best.map_or(0, |(label, _)| label))
    });
    let text: String = labels.collect();
    instance.write("encrypted_model_predictions.txt", text.as_bytes())
}
