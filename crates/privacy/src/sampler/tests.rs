use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;

use super::*;

#[test]
fn sizes_and_inclusions_follow_the_binomial() {
    let (examples, q, draws) = (2000, 0.05, 2000);
    let sampler = PoissonSampler::new(examples, SamplingRate::new(q).unwrap(), examples);
    let mut rng = ChaCha20Rng::seed_from_u64(1);
    let mut counts = vec![0u32; examples];
    let (mut sum, mut squares) = (0.0, 0.0);
    for _ in 0..draws {
        let batch = sampler.draw(&mut rng);
        assert!(batch.indices.windows(2).all(|pair| pair[0] < pair[1]));
        assert_eq!(batch.dropped, 0);
        batch.indices.iter().for_each(|&index| counts[index] += 1);
        let size = batch.indices.len() as f64;
        sum += size;
        squares += size * size;
    }
    let (n, t) = (examples as f64, f64::from(draws));
    let mean = sum / t;
    let variance = squares / t - mean * mean;
    let (expected, spread) = (n * q, n * q * (1.0 - q));
    assert!((mean - expected).abs() < 5.0 * (spread / t).sqrt(), "mean {mean}");
    assert!((variance / spread - 1.0).abs() < 5.0 * (2.0 / t).sqrt(), "variance {variance}");
    // Chi-square of the inclusions: n degrees of freedom, deviation √(2n).
    let cell = t * q * (1.0 - q);
    let chi: f64 = counts.iter().map(|&count| (f64::from(count) - t * q).powi(2) / cell).sum();
    assert!((chi - n).abs() < 5.0 * (2.0 * n).sqrt(), "chi-square {chi}");
}

#[test]
fn neighbours_in_the_data_are_drawn_independently() {
    let sampler = PoissonSampler::new(2, SamplingRate::new(0.5).unwrap(), 2);
    let mut rng = ChaCha20Rng::seed_from_u64(2);
    let both = (0..40_000).filter(|_| sampler.draw(&mut rng).indices.len() == 2).count() as f64;
    assert!((both - 10_000.0).abs() < 5.0 * (40_000.0f64 * 0.25 * 0.75).sqrt(), "{both}");
}

#[test]
fn surplus_is_dropped_uniformly() {
    let sampler = PoissonSampler::new(20, SamplingRate::new(1.0).unwrap(), 5);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let mut counts = [0u32; 20];
    for _ in 0..8000 {
        let batch = sampler.draw(&mut rng);
        assert_eq!((batch.indices.len(), batch.dropped), (5, 15));
        batch.indices.iter().for_each(|&index| counts[index] += 1);
    }
    let deviation = (8000.0f64 * 0.25 * 0.75).sqrt();
    assert!(counts.iter().all(|&count| (f64::from(count) - 2000.0).abs() < 5.0 * deviation));
}

#[test]
fn the_smallest_rates_draw_next_to_nothing_and_rate_one_draws_all() {
    let mut rng = ChaCha20Rng::seed_from_u64(4);
    let tiny = PoissonSampler::new(10_000, SamplingRate::new(1e-300).unwrap(), 10_000);
    assert!(tiny.draw(&mut rng).indices.is_empty());
    let all = PoissonSampler::new(100, SamplingRate::new(1.0).unwrap(), 100);
    assert_eq!(all.draw(&mut rng).indices, (0..100).collect::<Vec<_>>());
}

#[test]
fn the_batch_does_not_show_in_debug_output() {
    let all = PoissonSampler::new(100, SamplingRate::new(1.0).unwrap(), 100);
    let batch = all.draw(&mut ChaCha20Rng::seed_from_u64(5));
    assert_eq!(format!("{batch:?}"), "PoissonBatch(..)");
}
