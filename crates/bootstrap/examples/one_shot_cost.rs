//! Prints what a recognition in one shot costs on this machine:
//! `cargo run --release -p sphinx-bootstrap --example one_shot_cost`.

#[path = "../tests/support/mod.rs"]
mod support;

use std::sync::Mutex;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use sphinx_bootstrap::{Control, LayerDone, PreparedKeys};
use sphinx_evaluation_keys::{EvaluationKeys, OneShotProfile};
use sphinx_network::{Plan, initial_parameters};
use support::{Outcome, Party, mlp};

fn main() -> Outcome<()> {
    let spec = mlp(100, 8);
    let mut rng = ChaCha20Rng::seed_from_u64(3);
    let parameters = initial_parameters(&Plan::new(&spec)?, &mut rng);
    let mut party = Party::new(&spec, &parameters)?;
    println!("784 → 100 → 10 on {} threads", rayon::current_num_threads());

    let start = Instant::now();
    let keys = party.key.evaluation_keys(OneShotProfile::Standard, &mut rng)?;
    line("key generation", format!("{:.2} s", start.elapsed().as_secs_f64()));
    let start = Instant::now();
    let bytes = keys.to_bytes()?;
    line(
        "keys, serialised",
        format!("{} bytes in {:.2} s", bytes.len(), start.elapsed().as_secs_f64()),
    );
    let start = Instant::now();
    let read = EvaluationKeys::from_bytes(&bytes)?;
    line("keys, read and checked", format!("{:.2} s", start.elapsed().as_secs_f64()));
    let start = Instant::now();
    let prepared = PreparedKeys::new(&read);
    let seconds = start.elapsed().as_secs_f64();
    line("keys, expanded", format!("{} bytes in {seconds:.2} s", prepared.bytes()));

    let image = vec![0.3f32; 784];
    let layout = party.model.network().layout();
    let start = Instant::now();
    let query = party.key.encrypt_query(layout, &image, &mut party.rng)?;
    let micros = start.elapsed().as_secs_f64() * 1e6;
    line("query", format!("{} bytes, encrypted in {micros:.0} µs", query.bytes()));
    let going_on = AtomicBool::new(false);
    for _ in 0..3 {
        let done: Mutex<Vec<LayerDone>> = Mutex::default();
        let progress = |layer| done.lock().map_or((), |mut done| done.push(layer));
        let start = Instant::now();
        let control = Control::new(&going_on, &progress);
        let answer = party.model.evaluate(&party.prepared, &query, &control)?;
        let seconds = start.elapsed().as_secs_f64();
        line("recognition", format!("{seconds:.3} s, answer of {} bytes", answer.bytes()));
        for part in done.lock().map_err(|_| "poisoned")?.iter() {
            let each = part.elapsed.as_secs_f64() * 1e3 / part.samples as f64;
            println!(
                "    layer {} {:?}: {:?}, {each:.3} ms per sample",
                part.layer, part.step, part.elapsed
            );
        }
        party.key.decrypt_answer(&answer, 10)?;
    }
    Ok(())
}

fn line(what: &str, value: String) {
    println!("{what:<26} {value}");
}
