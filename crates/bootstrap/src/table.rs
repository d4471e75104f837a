//! The parameter table in words: `cargo run --release -p sphinx-bootstrap --example parameters`.

use std::fmt;

use sphinx_evaluation_keys::{Gadget, OneShotProfile, Parameters, lwe_noise_bound_log2};
use sphinx_linalg::{POLYNOMIAL_SIZE, tuniform_variance};

use crate::network::DEFAULT_HALF_RANGE;
use crate::noise::{NoiseBudget, standard_normal_tail};

/// The table of a profile: what is chosen, what follows, and what its neighbours would cost.
#[derive(Debug, Clone, Copy)]
pub struct ParameterTable(pub OneShotProfile);

/// Levels of an activation for which the table states probabilities.
const LEVELS: [u32; 4] = [2, 4, 8, 16];
/// Small dimensions that the table compares: those where the small key's noise steps down, and the
/// one chosen.
const DIMENSIONS: [usize; 5] = [680, 720, 740, 759, 799];

impl fmt::Display for ParameterTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters = self.0.parameters();
        let budget = NoiseBudget::new(&parameters);
        writeln!(f, "One-shot profile `{}`, 132 bits of security by tfhe's curves", self.0)?;
        chosen(f, &parameters)?;
        noise(f, &budget)?;
        probabilities(f, &budget)?;
        neighbours(f, &parameters)
    }
}

fn chosen(f: &mut fmt::Formatter<'_>, parameters: &Parameters) -> fmt::Result {
    let (small, large) = (parameters.small_noise_bound_log2(), parameters.large_noise_bound_log2());
    let n = parameters.small_dimension;
    writeln!(
        f,
        "\n| key | dimension | modulus | noise | deviation / modulus |\n|---|---|---|---|---|"
    )?;
    let line =
        |modulus: u32, bound: u32| tuniform_variance(bound).log2() / 2.0 - f64::from(modulus);
    writeln!(
        f,
        "| large | 2048 (N = 2048, k = 1) | 2^64 | TUniform({large}) | 2^{:.1} |",
        line(64, large)
    )?;
    writeln!(f, "| small | {n} | 2^32 | TUniform({small}) | 2^{:.1} |", line(32, small))?;
    writeln!(f, "\n| decomposition | base | levels | seeded bytes |\n|---|---|---|---|")?;
    let row = |f: &mut fmt::Formatter<'_>, name: &str, gadget: Gadget, bytes: usize| {
        writeln!(f, "| {name} | 2^{} | {} | {bytes} |", gadget.base_log2, gadget.levels)
    };
    row(f, "bootstrapping", parameters.bootstrapping, bootstrapping_bytes(parameters))?;
    let digits = POLYNOMIAL_SIZE * parameters.key_switching.levels;
    row(f, "key switching", parameters.key_switching, digits * size_of::<u32>())?;
    let ciphertexts = parameters.automorphisms() * parameters.packing.levels;
    row(f, "packing", parameters.packing, ciphertexts * POLYNOMIAL_SIZE * size_of::<u64>())
}

fn bootstrapping_bytes(parameters: &Parameters) -> usize {
    let words = parameters.small_dimension * parameters.bootstrapping.levels * 2 * POLYNOMIAL_SIZE;
    words * Parameters::BOOTSTRAPPING_KEY_BITS / 8
}

fn noise(f: &mut fmt::Formatter<'_>, budget: &NoiseBudget) -> fmt::Result {
    // A network like `mlp-100`: weights of norm 2 at 2^11 integers per unit, later ones of norm 80.
    let network = budget.network(4096.0, Some(80.0), 2048.0);
    writeln!(f, "\n| noise of | deviation / modulus |\n|---|---|")?;
    for (name, variance) in [
        ("a coefficient of a query", budget.query),
        ("a bias", budget.bias),
        ("a first layer with integer weights of norm 4096, biases times 2048", network.first_layer),
        ("the key switch", budget.key_switching),
        ("rounding to 4096 steps, its mean removed", budget.modulus_switching),
        ("what a table is looked up with", network.lookup),
        ("a blind rotation's output", budget.bootstrapping),
        ("a later layer with integer weights of norm 80", network.combination),
        ("what a second table is looked up with", network.combination + budget.lookup()),
        ("packing a logit", budget.packing),
        ("rounding the answer", budget.answer),
        ("a decrypted logit", network.logits),
    ] {
        writeln!(f, "| {name} | 2^{:.2} |", variance.log2() / 2.0)?;
    }
    Ok(())
}

/// Quantised tanh of L values has cells of width atanh(1 - 2k/L) - atanh(1 - 2(k + 1)/L); the
/// narrowest is in the middle.
fn probabilities(f: &mut fmt::Formatter<'_>, budget: &NoiseBudget) -> fmt::Result {
    let units = f64::from(2.0 * DEFAULT_HALF_RANGE) * budget.lookup().sqrt();
    writeln!(
        f,
        "\nHalf the torus is {DEFAULT_HALF_RANGE} units of a pre-activation; the noise of a lookup is then {units:.3} units. Per neuron:"
    )?;
    writeln!(
        f,
        "\n| levels of tanh | narrowest cell | in its middle, read as a neighbour | off by a cell or more |\n|---|---|---|---|"
    )?;
    for levels in LEVELS {
        let share = 2.0 / f64::from(levels);
        // An even number of levels has a threshold at zero, and the cell beside it ends at
        // atanh(2/L).
        let width = if levels == 2 { f64::INFINITY } else { share.atanh() };
        let tail = |distance: f64| match distance.is_finite() {
            true => format!("{:.1e}", standard_normal_tail(distance / units)),
            false => "0".to_owned(),
        };
        writeln!(f, "| {levels} | {width:.3} | {} | {} |", tail(width / 2.0), tail(width))?;
    }
    Ok(())
}

fn neighbours(f: &mut fmt::Formatter<'_>, parameters: &Parameters) -> fmt::Result {
    writeln!(
        f,
        "\n| n | small noise | key switch 2^2 × 7 | 2^3 × 5 | rounding | lookup | blind rotation, relative | seeded bytes |"
    )?;
    writeln!(f, "|---|---|---|---|---|---|---|---|")?;
    for n in DIMENSIONS {
        let budget = |base_log2, levels| {
            let key_switching = Gadget { base_log2, levels };
            NoiseBudget::new(&Parameters { small_dimension: n, key_switching, ..*parameters })
        };
        let (two, three) = (budget(2, 7), budget(3, 5));
        let deviation = |variance: f64| format!("2^{:.2}", variance.log2() / 2.0);
        writeln!(
            f,
            "| {n} | TUniform({}) | {} | {} | {} | {} | {:.2} | {} |",
            lwe_noise_bound_log2(n, 32),
            deviation(two.key_switching),
            deviation(three.key_switching),
            deviation(two.modulus_switching),
            deviation(two.lookup()),
            n as f64 / parameters.small_dimension as f64,
            bootstrapping_bytes(&Parameters { small_dimension: n, ..*parameters }),
        )?;
    }
    Ok(())
}
