//! A tool of the lab, not a pattern to copy.
//!
//! What recognition costs: the services run in this process on loopback sockets, client and
//! services share the cores.
//!
//! `cargo run --release -p sphinx-client --example recognition_cost -- [NETWORK]`

#[path = "../tests/recognition/world.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "shared with the tests")]
mod world;

use std::error::Error;
use std::time::{Duration, Instant};

use sphinx_client::Traffic;
use sphinx_client::recognition::Recogniser;
use world::{Model, World};

const TICKETS: usize = 2048;
const SINGLE: usize = 1000;
const BATCH: usize = 1000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let network = std::env::args().nth(1).unwrap_or_else(|| "sphinx-mnist".to_owned());
    let mut world = World::start().await;
    let model = world.model(&network).await;
    let recogniser = world.recogniser(&model).await;
    let test = sphinx_mnist::load()?.test;
    let images: Vec<Vec<f32>> =
        (0..SINGLE + BATCH).filter_map(|index| test.pixels(index)).collect();
    println!("network         {network}");
    for round in 0..3 {
        println!("round {round}");
        measure(&mut world, &model, &recogniser, &images).await?;
    }
    Ok(())
}

async fn measure(
    world: &mut World,
    model: &Model,
    recogniser: &Recogniser,
    images: &[Vec<f32>],
) -> Result<(), Box<dyn Error>> {
    let (begun, before) = (Instant::now(), recogniser.traffic());
    let mut tickets = recogniser.prepare(TICKETS, &mut world.rng).await?;
    let (time, bytes) = (begun.elapsed(), since(recogniser, before));
    let each = time.as_secs_f64() * 1e3 / TICKETS as f64;
    println!(
        "  prepare       {each:.3} ms per ticket, {} bytes per ticket",
        bytes / TICKETS as u64
    );

    let (before, checked) = (recogniser.traffic(), recogniser.check_cpu());
    let mut times = Vec::with_capacity(SINGLE);
    let mut exact = 0;
    for image in &images[..SINGLE] {
        let begun = Instant::now();
        let prediction = recogniser.infer(tickets.take()?, image).await?;
        times.push(begun.elapsed());
        exact += usize::from(prediction.logits == model.clear.classify(image)?);
    }
    times.sort_unstable();
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let (median, late) = (millis(times[SINGLE / 2]), millis(times[SINGLE * 99 / 100]));
    let bytes = since(recogniser, before) / SINGLE as u64;
    println!("  infer         p50 {median:.2} ms, p99 {late:.2} ms, {bytes} bytes per image");

    let batch = &images[SINGLE..];
    let batch_tickets = tickets.take_many(batch.len())?;
    let begun = Instant::now();
    let predictions = recogniser.infer_batch(batch_tickets, batch).await?;
    let rate = batch.len() as f64 / begun.elapsed().as_secs_f64();
    println!("  infer_batch   {rate:.0} images per second");
    let checks = (recogniser.check_cpu() - checked).as_secs_f64() * 1e6;
    println!("  checks        {:.1} us of CPU per image", checks / (SINGLE + BATCH) as f64);
    for (prediction, image) in predictions.iter().zip(batch) {
        exact += usize::from(prediction.logits == model.clear.classify(image)?);
    }
    println!("  agreement     {exact} of {} logits equal", SINGLE + BATCH);
    Ok(())
}

fn since(recogniser: &Recogniser, before: Traffic) -> u64 {
    let now = recogniser.traffic();
    now.up + now.down - before.up - before.down
}
