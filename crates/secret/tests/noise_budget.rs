//! The decoded error of encrypted linear maps stays within the predicted noise, rounding on the
//! wire included.
#![allow(clippy::unwrap_used, reason = "tests")]

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_linalg::{
    Group, LinearMap, PackedMap, Patch, ROW_WORDS, ResultNoise, SLOTS, Upload, Width, Word, pack,
};
use sphinx_secret::SecretKey;

struct Case {
    rows: usize,
    taps: usize,
    weight_bound: i32,
}

/// Encrypts, uploads, multiplies, rounds, sends home, decrypts; returns the worst and the mean
/// square error of all results in units of the predicted standard deviation.
fn relative_errors<W: Word>(case: &Case, upload: Width, mask: Width, body: Width) -> (f64, f64) {
    let mut rng = ChaCha20Rng::seed_from_u64(11);
    let key = SecretKey::generate(&mut rng).unwrap();
    let span = 2 * case.weight_bound as u32 + 1;
    let weights: Vec<i32> = (0..case.rows * case.taps)
        .map(|_| (rng.next_u32() % span) as i32 - case.weight_bound)
        .collect();
    let patch =
        Patch { gather: (0..case.taps as u32).collect(), scatter: (0..case.rows as u32).collect() };
    let group = Group {
        taps: case.taps,
        rows: case.rows,
        weights: weights.clone(),
        patches: [patch].into(),
    };
    let map = PackedMap::<W>::new(LinearMap::new(case.taps, case.rows, vec![group]).unwrap());
    let messages: Vec<W> = (0..case.taps * SLOTS).map(|_| W::from_u64(rng.next_u64())).collect();

    let rows = key.encrypt_rows(&messages, upload, &mut rng);
    let mut receiving = Upload::new(case.taps, 1, upload);
    receiving.push(0, &rows.seeds, &rows.bodies).unwrap();
    let matrix = receiving.finish().unwrap();

    let errors: Vec<(f64, f64)> = map
        .units(ROW_WORDS)
        .par_iter()
        .flat_map(|unit| {
            let outputs = map.evaluate(unit, &matrix).unwrap();
            let mut phases = vec![W::default(); outputs.rows.len() * SLOTS];
            let (masks, bodies) = send(&outputs.words, mask, body);
            let decode = |_: usize, phase: &[W], out: &mut [W]| out.copy_from_slice(phase);
            key.decrypt_rows((&masks, mask), (&bodies, body), &mut phases, decode).unwrap();
            let row_errors = |(phases, &row): (&[W], &u32)| {
                let weights = &weights[row as usize * case.taps..][..case.taps];
                let norm = weights.iter().map(|&w| f64::from(w).powi(2)).sum();
                let sigma = ResultNoise::new::<W>(norm, upload, mask, body).standard_deviation();
                let mut worst = 0f64;
                let mut square = 0f64;
                for (slot, &phase) in phases.iter().enumerate() {
                    let exact = weights.iter().enumerate().fold(W::default(), |sum, (j, &w)| {
                        sum.add(W::from_weight(w).mul(messages[j * SLOTS + slot]))
                    });
                    let error = phase.to_u64().wrapping_sub(exact.to_u64());
                    let error = W::from_u64(error).to_signed() as f64 / sigma;
                    worst = worst.max(error.abs());
                    square += error * error;
                }
                (worst, square / SLOTS as f64)
            };
            phases.chunks(SLOTS).zip(&outputs.rows).map(row_errors).collect::<Vec<_>>()
        })
        .collect();
    let worst = errors.iter().map(|error| error.0).fold(0.0, f64::max);
    (worst, errors.iter().map(|error| error.1).sum::<f64>() / errors.len() as f64)
}

fn send<W: Word>(words: &[W], mask: Width, body: Width) -> (Vec<u8>, Vec<u8>) {
    let rows = words.len() / ROW_WORDS;
    let mut masks = vec![0; rows * SLOTS * mask.bytes()];
    let mut bodies = vec![0; rows * SLOTS * body.bytes()];
    for (row, words) in words.chunks(ROW_WORDS).enumerate() {
        let (m, b) = words.split_at(SLOTS);
        pack(m, mask, &mut masks[row * SLOTS * mask.bytes()..][..SLOTS * mask.bytes()]);
        pack(b, body, &mut bodies[row * SLOTS * body.bytes()..][..SLOTS * body.bytes()]);
    }
    (masks, bodies)
}

fn check<W: Word>(case: &Case, upload: Width, mask: Width, body: Width) {
    let (worst, mean_square) = relative_errors::<W>(case, upload, mask, body);
    assert!(worst < 6.0, "worst error {worst} sigma");
    // The number of secret bits that are one varies by a few per cent from its expectation.
    assert!((0.85..1.15).contains(&mean_square), "mean square {mean_square}");
}

#[test]
fn training_results_stay_within_six_sigma() {
    for case in [
        Case { rows: 16, taps: 25, weight_bound: 8000 },
        Case { rows: 16, taps: 400, weight_bound: 900 },
        Case { rows: 100, taps: 256, weight_bound: 1500 },
        Case { rows: 10, taps: 100, weight_bound: 3000 },
    ] {
        check::<u32>(&case, Width::Four, Width::Three, Width::Two);
    }
}

#[test]
fn ticket_results_stay_within_six_sigma() {
    for case in [
        Case { rows: 16, taps: 25, weight_bound: 127 },
        Case { rows: 16, taps: 400, weight_bound: 127 },
        Case { rows: 100, taps: 256, weight_bound: 127 },
    ] {
        check::<u64>(&case, Width::Six, Width::Five, Width::Five);
    }
}
