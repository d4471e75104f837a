//! The check of every layer of every image: whatever is wrong in an answer, a ticket, a repair, the
//! biases or the weights, the sums differ.
//!
//! With z over the integers, which it is known to be, and secret τ: Σ τ(o) z(o) = Σ v(j) x(j) + β
//! modulo p, where v = τᵀ W and β = Σ τ(o) b(o). A wrong z passes with probability 2^-61
//! (docs/security.md).

use std::fmt;

use sphinx_check::{Limbs, add, project, residue};
use sphinx_linalg::LinearMap;

/// What the products of one stage of one version are checked with.
pub(crate) struct LayerCheck {
    /// τ, one per output.
    challenge: Limbs,
    /// v, one per input.
    projection: Limbs,
    /// β.
    biases: u64,
}

impl LayerCheck {
    /// For a stage with these integer weights, and biases per output channel at the scale of its
    /// sums. About a multiply-add per multiply-add of the stage.
    pub fn new(map: &LinearMap, challenge: &[u64], biases: &[i64]) -> Self {
        let rows = map.outputs() / biases.len().max(1);
        let channels = challenge.chunks(rows.max(1)).zip(biases);
        let biases = channels.fold(0, |sum, (challenge, &bias)| {
            let total = challenge.iter().fold(0, |total, &tau| add(total, tau));
            // Below 2^61 · 2^32.
            add(sum, residue(i128::from(total) * i128::from(bias)))
        });
        let projection = Limbs::new(&project(map, challenge));
        Self { challenge: Limbs::new(challenge), projection, biases }
    }

    /// What the results of an image's integers have to add up to.
    pub fn expected(&self, inputs: &[i32]) -> u64 {
        add(self.projection.dot(inputs), self.biases)
    }

    /// What results add up to.
    pub fn of_results(&self, outputs: &[i32]) -> u64 {
        self.challenge.dot(outputs)
    }
}

/// Without the numbers: who knows them could answer wrongly.
impl fmt::Debug for LayerCheck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LayerCheck").field("inputs", &self.projection.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sphinx_linalg::LinearMap;
    use sphinx_network::{NetworkSpec, Plan, initial_parameters};
    use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, InferenceStage, apply_clear};

    use super::*;

    fn maps() -> Vec<LinearMap> {
        let spec = NetworkSpec::builtin("lola").unwrap();
        let plan = Plan::new(&spec).unwrap();
        let parameters = initial_parameters(&plan, &mut rand::rng());
        let stages = plan.stages.iter().zip(&parameters).enumerate();
        let map = |(index, (stage, parameters)): (usize, (_, &sphinx_network::StageParameters))| {
            let (weights, bits) = (&parameters.weights, DEFAULT_ACTIVATION_BITS);
            InferenceStage::new(index, stage, weights, spec.bias_bound, bits).unwrap().map
        };
        stages.map(map).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(16))]
        #[test]
        fn right_results_pass_and_one_that_is_off_by_anything_does_not(
            seed in any::<u64>(), place in any::<usize>(), off in 1i32..,
        ) {
            use rand::{RngExt, SeedableRng};
            let mut rng = rand_chacha::ChaCha20Rng::seed_from_u64(seed);
            for (map, channels) in maps().iter().zip([5, 100, 10]) {
                let biases: Vec<i64> =
                    (0..channels).map(|_| rng.random_range(-(1i64 << 28)..1 << 28)).collect();
                let challenge = sphinx_check::random(map.outputs(), &mut rng);
                let check = LayerCheck::new(map, &challenge, &biases);
                let inputs: Vec<i32> =
                    (0..map.inputs()).map(|_| rng.random_range(-2048..=2048)).collect();
                let rows = map.outputs() / channels;
                let sums = apply_clear(map, &inputs);
                let sums = sums.iter().enumerate().map(|(row, sum)| (sum + biases[row / rows]) as i32);
                let mut sums: Vec<i32> = sums.collect();
                let expected = check.expected(&inputs);
                prop_assert_eq!(check.of_results(&sums), expected);
                let place = place % sums.len();
                sums[place] = sums[place].wrapping_add(off);
                prop_assert_ne!(check.of_results(&sums), expected);
            }
        }
    }
}
