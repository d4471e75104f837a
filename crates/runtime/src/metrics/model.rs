//! Steps by model, if the operator asks for them.

use std::collections::HashSet;
use std::fmt::{self, Write};
use std::sync::{Mutex, PoisonError};

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;
use sha2::{Digest, Sha256};

/// Models that have a label of their own; the steps of further ones are counted together.
const MOST_MODELS: usize = 256;

/// A model under a name that says nothing: the beginning of a hash of the random bytes that tell
/// it from every other. Whoever may read the model can tell it is his; others learn no name, and
/// replicas and restarts agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct ModelLabel(Option<[u8; 8]>);

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ByModel {
    model: ModelLabel,
}

#[derive(Debug)]
pub(super) struct ModelSteps {
    steps: Family<ByModel, Counter>,
    /// Those that have a label.
    known: Mutex<HashSet<ModelLabel>>,
}

impl ModelSteps {
    pub(super) fn new(registry: &mut Registry) -> Self {
        let steps = Family::default();
        let help = "Commits that became a version, by model; the label is a hash";
        registry.register("model_steps", help, Family::clone(&steps));
        Self { steps, known: Mutex::default() }
    }

    pub(super) fn stepped(&self, incarnation: &[u8; 16]) {
        let own = ModelLabel::of(incarnation);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let has_label = known.contains(&own) || (known.len() < MOST_MODELS && known.insert(own));
        drop(known);
        let model = if has_label { own } else { ModelLabel(None) };
        self.steps.get_or_create(&ByModel { model }).inc();
    }
}

impl ModelLabel {
    fn of(incarnation: &[u8; 16]) -> Self {
        let hash = Sha256::new().chain_update(b"sphinx metrics: model ").chain_update(incarnation);
        let mut label = [0; 8];
        label.iter_mut().zip(hash.finalize()).for_each(|(to, from)| *to = from);
        Self(Some(label))
    }
}

impl EncodeLabelValue for ModelLabel {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> Result<(), fmt::Error> {
        match &self.0 {
            Some(label) => label.iter().try_for_each(|byte| write!(encoder, "{byte:02x}")),
            None => encoder.write_str("other"),
        }
    }
}
