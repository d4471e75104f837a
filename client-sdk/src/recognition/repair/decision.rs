//! Whether tickets are repaired or prepared anew.
//!
//! Repairing needs the same model (id, key and incarnation: then the network is the same, too) and,
//! in every stage, u modulo at least what the new version's tickets need; both are checked. What is
//! left is cost. Per ticket, repairing is never dearer: a multiply-add in the clear against two on
//! ciphertexts, and a pass over u against decrypting it. But it has a fixed cost, a call that
//! brings the differences, while preparing costs a block of 2048 however few tickets are wanted. With
//! the estimates below, repairing wins for every network with more than some hundred scalars; the
//! smallest networks prepare anew.

use sphinx_linalg::SLOTS;
use sphinx_quantise::integer_weight_count;

use crate::recognition::model::IntegerModel;

/// Why tickets of one version are not repaired for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unrepairable {
    /// They belong to another model, another life of it, or another key.
    #[error("the tickets are of another model")]
    OtherModel,
    /// The service no longer keeps their version, or the newer one.
    #[error("the service no longer keeps their version")]
    VersionGone,
    /// The sums of a stage need more bits than u is known to.
    #[error("stage {stage} needs {needed} bits, the tickets have {known}")]
    Bits {
        /// The stage, counted from 0.
        stage: usize,
        /// Bits of the new version's tickets.
        needed: u32,
        /// Bits of the old ones.
        known: u32,
    },
    /// Preparing as many anew takes less time.
    #[error("preparing anew is expected to take {prepare_micros} µs, repairing {repair_micros} µs")]
    Dearer {
        /// Expected time of one core to prepare.
        prepare_micros: u64,
        /// Expected time of one core to repair.
        repair_micros: u64,
    },
}

/// What repairing and preparing depend on.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Size {
    inputs: f64,
    outputs: f64,
    multiply_adds: f64,
}

/// Nanoseconds on one core, client and service together; measured on the machine of
/// docs/benchmarks.md.
const ENCRYPT_ROW: f64 = 20_000.0;
const DECRYPT_ROW: f64 = 15_000.0;
const CIPHER_MULTIPLY_ADD: f64 = 2.0 * SLOTS as f64 / 12.0;
const SYNC_CALL: f64 = 3_000_000.0;
const REPAIR_SCALAR: f64 = 1.0;
/// If no weight stayed the same.
const REPAIR_MULTIPLY_ADD: f64 = 1.0 / 30.0;

/// Whether `tickets` tickets of `old` can, and should, become tickets of `new`.
pub(super) fn check(
    old: &IntegerModel,
    new: &IntegerModel,
    tickets: usize,
) -> Result<(), Unrepairable> {
    if !old.same_model(new) {
        return Err(Unrepairable::OtherModel);
    }
    for (stage, (old, new)) in old.stages.iter().zip(&new.stages).enumerate() {
        let (known, needed) = (old.ticket_bits, new.ticket_bits);
        if known < needed {
            return Err(Unrepairable::Bits { stage, needed, known });
        }
    }
    worth_it(Size::of(new), tickets)
}

fn worth_it(size: Size, tickets: usize) -> Result<(), Unrepairable> {
    let (prepare, repair) = (size.prepare_nanos(tickets), size.repair_nanos(tickets));
    if repair < prepare {
        return Ok(());
    }
    let micros = |nanos: f64| (nanos / 1e3) as u64;
    let (prepare_micros, repair_micros) = (micros(prepare), micros(repair));
    Err(Unrepairable::Dearer { prepare_micros, repair_micros })
}

impl Size {
    fn of(model: &IntegerModel) -> Self {
        let mut size = Self::default();
        for (layer, stage) in model.stages.iter().zip(&model.plan.stages) {
            size.inputs += layer.inputs as f64;
            size.outputs += layer.outputs as f64;
            let places = layer.rows_per_channel as f64;
            size.multiply_adds += integer_weight_count(stage) as f64 * places;
        }
        size
    }

    fn prepare_nanos(&self, tickets: usize) -> f64 {
        let rows = self.inputs * ENCRYPT_ROW + self.outputs * DECRYPT_ROW;
        let block = rows + self.multiply_adds * CIPHER_MULTIPLY_ADD;
        tickets.div_ceil(SLOTS) as f64 * block
    }

    fn repair_nanos(&self, tickets: usize) -> f64 {
        let scalars = (self.inputs + self.outputs) * REPAIR_SCALAR;
        let ticket = scalars + self.multiply_adds * REPAIR_MULTIPLY_ADD;
        SYNC_CALL + tickets as f64 * ticket
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPHINX_MNIST: Size =
        Size { inputs: 3_444.0, outputs: 10_350.0, multiply_adds: 667_000.0 };
    const TINY: Size = Size { inputs: 26.0, outputs: 20.0, multiply_adds: 260.0 };

    #[test]
    fn large_networks_repair_and_the_smallest_prepare_anew() {
        for tickets in [1, 100, 2048, 100_000] {
            assert_eq!(worth_it(SPHINX_MNIST, tickets), Ok(()), "{tickets}");
        }
        assert!(matches!(
            worth_it(TINY, 1),
            Err(Unrepairable::Dearer { prepare_micros, repair_micros }) if prepare_micros < repair_micros
        ));
        // Many blocks of them are worth a call.
        assert_eq!(worth_it(TINY, 20 * SLOTS), Ok(()));
    }
}
