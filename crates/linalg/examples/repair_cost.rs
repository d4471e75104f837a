//! What a repair's product costs per ticket and thread, for the two convolutions of `sphinx-mnist`.
//!
//! `cargo run --release -p sphinx-linalg --example repair_cost`

use std::time::Instant;

use sphinx_linalg::{Group, LANES, LinearMap, Patch, SparseMap};

/// Tickets: more than caches hold.
const TICKETS: usize = 2048;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, channels, side) in [("first convolution", 1, 28), ("second convolution", 16, 12)] {
        for tenths in [9, 6, 3] {
            let map = SparseMap::new(&convolution(channels, side, tenths)?);
            let (terms, outputs, micros) = (map.multiply_adds(), map.outputs(), measure(&map));
            println!("{name}: {terms} multiply-adds, {outputs} outputs: {micros:.2} µs per ticket");
        }
    }
    Ok(())
}

/// 16 kernels of 5 × 5; so many tenths of the weights are ±1 or 2.
fn convolution(
    channels: usize,
    side: usize,
    tenths: usize,
) -> Result<LinearMap, Box<dyn std::error::Error>> {
    let (rows, taps) = (16, channels * 25);
    let positions = side - 4;
    let patch = |place: usize| {
        let (y, x) = (place / positions, place % positions);
        let input = |tap: usize| {
            let line = tap / 25 * side + y + tap / 5 % 5;
            (line * side + x + tap % 5) as u32
        };
        let output = |row: usize| (row * positions * positions + place) as u32;
        Patch { gather: (0..taps).map(input).collect(), scatter: (0..rows).map(output).collect() }
    };
    let weight = |at: usize| match (at * 7919 % 10 < tenths, at * 31 % 8) {
        (false, _) => 0,
        (true, 0) => 2,
        (true, odd) if odd % 2 == 1 => 1,
        (true, _) => -1,
    };
    let weights = (0..rows * taps).map(weight).collect();
    let patches = (0..positions * positions).map(patch).collect();
    let group = Group { taps, rows, weights, patches };
    Ok(LinearMap::new(channels * side * side, rows * positions * positions, vec![group])?)
}

fn measure(map: &SparseMap) -> f64 {
    let inputs = vec![[0x9e37_79b9; LANES]; map.inputs()];
    let added = vec![1; map.outputs()];
    let mut tickets = vec![vec![0; map.outputs()]; TICKETS];
    let mut sums = Vec::new();
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let started = Instant::now();
        for tickets in tickets.chunks_mut(LANES) {
            let mut outputs: Vec<&mut [u32]> = tickets.iter_mut().map(Vec::as_mut_slice).collect();
            map.add_products(&added, &inputs, &mut outputs, &mut sums);
        }
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / TICKETS as f64);
    }
    best
}
