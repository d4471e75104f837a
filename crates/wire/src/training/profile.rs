//! Which profile a network's training gets: the shortest words that are precise enough.
//!
//! A result of a stage is off by the noise of encryption, by the rounding of its inputs and by that
//! of its weights. The shorter the words, the coarser the weights have to be for sums to stay in
//! range, the more so the more inputs a sum has. [`rows`] predicts the error of every product from
//! the weights that a network starts with; a profile will do if no product is off by more than
//! [`MOST_ERROR`] of what it usually is.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_linalg::{Profile, tuniform_variance};
use sphinx_network::{Direction, Plan, initial_parameters};
use sphinx_quantise::{LowerError, Lowered};

use super::{BiasForm, Form, Geometries, backward_budget, forward_budget};

/// Largest relative error of a product: well below what clipping and noise of differential privacy
/// do to a gradient (docs/benchmarks.md has accuracies under both profiles).
pub const MOST_ERROR: f64 = 1.0 / 32.0;

/// The seed of the weights that errors are predicted for.
const SEED: u64 = 0;

/// What a profile means for one product.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// The stage, counted from 0.
    pub stage: usize,
    /// The product's direction.
    pub direction: Direction,
    /// Standard deviation of the error over that of the result, for inputs uniform in their range.
    pub error: f64,
    /// Bytes up and down per slot, with one block and with four.
    pub bytes: [f64; 2],
}

/// A network that a profile is not precise enough for.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ProfileError {
    /// A product would be off by too much.
    #[error(
        "under {profile} results of stage {stage} would be off by {percent:.1} %, at most {most:.1} % will do: the \
         stage sums too many inputs for words of this length; leave the profile out or use GLWE_2048_T32"
    )]
    Imprecise {
        /// The profile's name.
        profile: &'static str,
        /// The first such stage.
        stage: usize,
        /// Relative error, in percent.
        percent: f64,
        /// What is allowed, in percent.
        most: f64,
    },
    /// No scale keeps a stage in range.
    #[error("under {profile}: {cause}")]
    Range {
        /// The profile's name.
        profile: &'static str,
        /// Which stage.
        cause: LowerError,
    },
}

/// The first profile, shortest words first, that is precise enough for a network: a function of its
/// description alone, so that trainings of it agree. Costs some passes over its weights.
pub fn chosen(plan: &Plan) -> Profile {
    match check(plan, Profile::Glwe1024T24) {
        Ok(()) => Profile::Glwe1024T24,
        Err(_) => Profile::Glwe2048T32,
    }
}

/// Whether a profile is precise enough for a network. The longest words always are: where they are
/// not, nothing is.
///
/// # Errors
/// [`ProfileError`] with numbers.
pub fn check(plan: &Plan, profile: Profile) -> Result<(), ProfileError> {
    let worst = rows(plan, profile)?.into_iter().find(|row| row.error > MOST_ERROR);
    match worst {
        Some(Row { stage, error, .. }) if profile != Profile::Glwe2048T32 => {
            let (profile, percent) = (profile.name(), 100.0 * error);
            Err(ProfileError::Imprecise { profile, stage, percent, most: 100.0 * MOST_ERROR })
        }
        _ => Ok(()),
    }
}

/// The predictions for all products of a network.
///
/// # Errors
/// [`ProfileError::Range`].
pub fn rows(plan: &Plan, profile: Profile) -> Result<Vec<Row>, ProfileError> {
    let initial = initial_parameters(plan, &mut ChaCha20Rng::seed_from_u64(SEED));
    let weights: Vec<Vec<f32>> = initial.into_iter().map(|stage| stage.weights).collect();
    let form = Form { profile, biases: BiasForm::AtHome };
    let range = |cause| ProfileError::Range { profile: profile.name(), cause };
    let stages = Geometries::new(plan.clone(), form, 1.0).lower(&weights).map_err(range)?;
    let mut rows = Vec::new();
    for (stage, (shape, integers)) in plan.stages.iter().zip(&stages).enumerate() {
        for (direction, budget) in [
            (Direction::Forward, forward_budget(shape, profile)),
            (Direction::Backward, backward_budget(profile)),
        ] {
            let Some(product) = integers.product(direction) else { continue };
            let error = relative_error(product, profile, budget.largest_message());
            rows.push(Row { stage, direction, error, bytes: bytes(product, profile) });
        }
    }
    Ok(rows)
}

/// Of the row that has the largest: errors and results as standard deviations, in integers.
fn relative_error(product: &Lowered, profile: Profile, largest: f64) -> f64 {
    // Inputs uniform in ±largest.
    let input = largest * largest / 3.0;
    let noise = tuniform_variance(profile.noise_bound_log2()) + 1.0 / 12.0;
    let groups = product.map.groups().iter();
    let rows = groups.flat_map(|group| group.weights.chunks_exact(group.taps));
    let errors = rows.map(|weights| {
        let norm: f64 = weights.iter().map(|&weight| f64::from(weight).powi(2)).sum();
        let rounded = weights.len() as f64 / 12.0;
        ((norm * noise + rounded * input) / (norm * input)).sqrt()
    });
    errors.fold(0.0, f64::max)
}

/// Seeds and bodies of the inputs, masks and bodies of the results, over the slots.
fn bytes(product: &Lowered, profile: Profile) -> [f64; 2] {
    let (inputs, outputs) = (product.map.inputs() as f64, product.map.outputs() as f64);
    let (n, word) = (profile.dimension() as f64, profile.width().bytes() as f64);
    [1.0, 4.0].map(|blocks| {
        let slots = blocks * sphinx_linalg::SLOTS as f64;
        inputs * (16.0 / slots + word) + outputs * word * (1.0 + n / slots)
    })
}

#[cfg(test)]
mod tests {
    use sphinx_network::NetworkSpec;

    use super::*;

    fn plan(name: &str) -> Plan {
        Plan::new(&NetworkSpec::builtin(name).unwrap()).unwrap()
    }

    #[test]
    fn narrow_stages_get_short_words_and_wide_ones_long_words() {
        assert_eq!(chosen(&plan("sphinx-mnist")), Profile::Glwe1024T24);
        assert_eq!(chosen(&plan("deskew-linear")), Profile::Glwe2048T32);
        let error = check(&plan("deskew-linear"), Profile::Glwe1024T24).unwrap_err().to_string();
        assert!(
            error.contains("under GLWE_1024_T24 results of stage 0 would be off by"),
            "{error}"
        );
        assert_eq!(check(&plan("deskew-linear"), Profile::Glwe2048T32), Ok(()));
    }

    /// What docs/cryptography.md says.
    #[test]
    fn the_worst_products_are_off_by_what_is_told() {
        let worst = |name: &str, profile| {
            rows(&plan(name), profile)
                .unwrap()
                .iter()
                .fold(0.0, |worst: f64, row| worst.max(row.error))
        };
        for (name, profile, percent) in [
            ("sphinx-mnist", Profile::Glwe1024T24, 2.19),
            ("sphinx-mnist", Profile::Glwe2048T32, 0.14),
            ("deskew-linear", Profile::Glwe1024T24, 12.27),
            ("deskew-linear", Profile::Glwe2048T32, 0.77),
        ] {
            let got = 100.0 * worst(name, profile);
            assert!((got - percent).abs() < 0.05, "{name} {profile:?}: {got} %");
        }
    }

    #[test]
    fn short_words_halve_what_travels() {
        let total = |profile, blocks: usize| -> f64 {
            rows(&plan("sphinx-mnist"), profile).unwrap().iter().map(|row| row.bytes[blocks]).sum()
        };
        // design: 122 and 83 kB with whole words, 72 and 58 kB with short ones.
        for (profile, expected) in
            [(Profile::Glwe2048T32, [122e3, 83e3]), (Profile::Glwe1024T24, [72e3, 58e3])]
        {
            for (blocks, expected) in expected.into_iter().enumerate() {
                let got = total(profile, blocks);
                assert!((got / expected - 1.0).abs() < 0.03, "{profile:?}: {got} for {expected}");
            }
        }
    }
}
