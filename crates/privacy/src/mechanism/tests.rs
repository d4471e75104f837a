use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha20Rng;

use super::*;

fn spec(clipping_norm: f64, sigma: f64, dimension: usize) -> MechanismSpec {
    let noise_multiplier = NoiseMultiplier::new(sigma).unwrap();
    MechanismSpec { clipping_norm, noise_multiplier, dimension, slack: 0.0 }
}

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(11)
}

#[test]
fn noise_covers_the_sensitivity_after_rounding() {
    for (c, sigma, d) in
        [(0.1, 1.77, 33_542), (1.0, 0.3, 1), (3.0, 20.0, 5_000_000), (0.1, 1e-3, 9)]
    {
        let mechanism = GaussianMechanism::new(spec(c, sigma, d)).unwrap();
        let grid = mechanism.grid();
        assert_eq!(grid.log2().fract(), 0.0, "grid is a power of two");
        let needed = sigma * (c + grid * (d as f64).sqrt());
        let got = mechanism.noise_deviation();
        assert!(got >= needed * (1.0 - 1e-15), "{got} {needed}");
        assert!(got <= sigma * c * (1.0 + 2e-3), "no more noise than needed: {got} {needed}");
    }
}

#[test]
fn slack_enlarges_the_noise_in_proportion() {
    let exact = GaussianMechanism::new(spec(0.1, 2.0, 1000)).unwrap();
    let allowing =
        GaussianMechanism::new(MechanismSpec { slack: 0.01, ..spec(0.1, 2.0, 1000) }).unwrap();
    let ratio = allowing.noise_deviation() / exact.noise_deviation();
    assert!((ratio - 1.01).abs() < 1e-4, "{ratio}");
}

/// How far sums of gradients of norm 1 move when one of them is replaced by nothing, where that is
/// largest: all pointing about the same way, so that partial sums are as large as they can be.
#[test]
fn group_slack_covers_what_a_neighbour_can_move() {
    const DIMENSION: usize = 64;
    let mut rng = rng();
    for (blocks, spread) in [(1, 0.0), (1, 0.01), (1, 0.5), (2, 0.01), (3, 0.5)] {
        let slack = MechanismSpec::group_slack(blocks, 1);
        let examples = blocks as usize * 2048;
        let gradients: Vec<Vec<f32>> = (0..examples)
            .map(|_| {
                let raw: Vec<f64> =
                    (0..DIMENSION).map(|_| 1.0 + spread * rng.random_range(-1.0..1.0)).collect();
                // The factor's margin, as sphinx-gradient leaves it.
                let norm = raw.iter().map(|x| x * x).sum::<f64>().sqrt() / (1.0 - 4e-6);
                raw.iter().map(|x| (x / norm) as f32).collect()
            })
            .collect();
        // Groups of eight slots in f32, groups in f64.
        let sum_of = |slots: &[usize], left_out: usize| -> Vec<f64> {
            let mut total = vec![0.0f64; DIMENSION];
            for group in slots.chunks(8) {
                let mut sum = vec![0.0f32; DIMENSION];
                for slot in group.iter().filter(|slot| **slot != left_out) {
                    sum.iter_mut().zip(&gradients[*slot]).for_each(|(sum, g)| *sum += g);
                }
                total.iter_mut().zip(sum).for_each(|(total, sum)| *total += f64::from(sum));
            }
            total
        };
        let slots: Vec<usize> = (0..examples).collect();
        let whole = sum_of(&slots, examples);
        for left_out in (0..examples).step_by(37) {
            let part = sum_of(&slots, left_out);
            let distance = |a: &[f64], b: &[f64]| {
                a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
            };
            let moved = distance(&whole, &part);
            assert!(moved <= 1.0 + slack, "{blocks} blocks, spread {spread}: {moved}");
            // What moved is what the example's own group moved.
            let group = &slots[left_out / 8 * 8..][..8];
            let own: Vec<f64> = sum_of(group, examples)
                .iter()
                .zip(sum_of(group, left_out))
                .map(|(a, b)| a - b)
                .collect();
            let all: Vec<f64> = whole.iter().zip(&part).map(|(a, b)| a - b).collect();
            assert!(distance(&own, &all) < 1e-10, "{blocks} blocks, spread {spread}");
        }
    }
}

#[test]
fn group_slack_is_small_for_any_number_of_blocks_and_grows_with_copies() {
    for blocks in [1, 2, 4, 64, 1000] {
        let slack = MechanismSpec::group_slack(blocks, 1);
        assert!((9.5e-6..1.3e-5).contains(&slack), "{blocks} blocks: {slack}");
    }
    let ratio = MechanismSpec::group_slack(1, 16) / MechanismSpec::group_slack(1, 1);
    assert!((15.9..=16.0).contains(&ratio), "{ratio}");
}

/// A sum just below the middle between two units, which is above it in f32.
#[test]
fn sums_stay_in_f64_down_to_the_grid() {
    let mechanism = GaussianMechanism::new(spec(1.0, 1.0, 1)).unwrap();
    let release = |sum: f64| mechanism.release(&[sum], &mut rng()).unwrap();
    let (below, above) = (1000.5f64.next_down(), 1000.5);
    assert_eq!(below as f32, above as f32);
    assert_ne!(release(below * mechanism.grid()), release(above * mechanism.grid()));
}

#[test]
fn released_values_are_the_sum_plus_gaussian_noise_on_the_grid() {
    let mechanism = GaussianMechanism::new(spec(0.5, 1.5, 100_000)).unwrap();
    let sum: Vec<f64> = (0..100_000).map(|index| f64::from(index) * 1e-4 - 5.0).collect();
    let released = mechanism.release(&sum, &mut rng()).unwrap();
    let deviation = mechanism.noise_deviation();
    let (mut mean, mut square, mut beyond) = (0.0, 0.0, 0);
    for (&got, &given) in released.as_slice().iter().zip(&sum) {
        assert_eq!((f64::from(got) / mechanism.grid()).fract(), 0.0);
        let z = (f64::from(got) - given) / deviation;
        mean += z / 1e5;
        square += z * z / 1e5;
        beyond += u32::from(z.abs() > 2.0);
    }
    assert!(mean.abs() < 5.0 / 1e5f64.sqrt(), "{mean}");
    assert!((square - 1.0).abs() < 5.0 * (2.0 / 1e5f64).sqrt(), "{square}");
    assert!((f64::from(beyond) / 1e5 - 0.0455).abs() < 5.0 * (0.0455f64 / 1e5).sqrt());
}

#[test]
fn the_same_generator_gives_the_same_bytes() {
    let mechanism = GaussianMechanism::new(spec(0.1, 1.0, 64)).unwrap();
    let sum = [0.25; 64];
    let first = mechanism.release(&sum, &mut rng()).unwrap();
    assert_eq!(first, mechanism.release(&sum, &mut rng()).unwrap());
    assert_ne!(first, mechanism.release(&sum, &mut ChaCha20Rng::seed_from_u64(12)).unwrap());
}

#[test]
fn rejects_nonsensical_parameters() {
    for c in [0.0, -1.0, f64::INFINITY, 1e13] {
        let error = GaussianMechanism::new(spec(c, 1.0, 10)).unwrap_err();
        assert_eq!(error, MechanismError::ClippingNorm { got: c });
    }
    let nan = GaussianMechanism::new(spec(f64::NAN, 1.0, 10)).unwrap_err();
    assert!(matches!(nan, MechanismError::ClippingNorm { .. }));
    let slack = GaussianMechanism::new(MechanismSpec { slack: -0.1, ..spec(1.0, 1.0, 10) });
    assert_eq!(slack.unwrap_err(), MechanismError::Slack { got: -0.1 });
    for got in [0, (1 << 40) + 1] {
        let error = GaussianMechanism::new(spec(1.0, 1.0, got)).unwrap_err();
        assert_eq!(error, MechanismError::Dimension { got });
    }
    for sigma in [1e-30, 1e9] {
        let error = GaussianMechanism::new(spec(1.0, sigma, 10)).unwrap_err();
        assert_eq!(error, MechanismError::Scale { sigma, dimension: 10 });
    }
}

#[test]
fn rejects_sums_that_are_not_finite_clipped_or_of_the_right_length() {
    let mechanism = GaussianMechanism::new(spec(1.0, 1.0, 3)).unwrap();
    let release = |sum: &[f64]| mechanism.release(sum, &mut rng()).unwrap_err();
    assert_eq!(release(&[0.0; 2]), MechanismError::Length { got: 2, expected: 3 });
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        assert_eq!(release(&[0.0, bad, 0.0]), MechanismError::NonFinite { index: 1 });
    }
    assert_eq!(release(&[0.0, 0.0, 1e30]), MechanismError::Unclipped { index: 2 });
}

#[test]
fn released_values_do_not_show_in_debug_output() {
    let mechanism = GaussianMechanism::new(spec(1.0, 1.0, 3)).unwrap();
    let released = mechanism.release(&[0.0; 3], &mut rng()).unwrap();
    assert_eq!(format!("{released:?}"), "NoisedSum(3 components)");
}

/// The budget of a training step is 20 ms; the bound leaves room for a busy machine.
#[test]
fn a_step_of_sphinx_mnist_is_noised_in_milliseconds() {
    let mechanism = GaussianMechanism::new(spec(0.1, 1.77, 33_542)).unwrap();
    let sum = vec![0.01; 33_542];
    let mut rng = rng();
    let best = (0..10)
        .map(|_| {
            let start = std::time::Instant::now();
            mechanism.release(&sum, &mut rng).unwrap();
            start.elapsed()
        })
        .min()
        .unwrap();
    println!("noise for 33 542 components: {best:?}");
    assert!(best < std::time::Duration::from_millis(20), "{best:?}");
}
