//! A step of many blocks over up to 64 replicas, from what blocks were measured to cost.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::measure::Costs;

/// Blocks of a step.
const BLOCKS: usize = 64;
/// Most blocks that one stream takes through the layers together.
const TOGETHER: usize = 4;
/// Cores and Gbit/s (each way) of the clients that are looked at; a replica has two cores.
const CLIENTS: [(f64, f64); 5] = [(2.0, 0.1), (2.0, 1.0), (16.0, 1.0), (16.0, 10.0), (64.0, 10.0)];
const REPLICA_CORES: f64 = 2.0;
const NANOS: f64 = 1e9;

/// One linear layer in one direction: its shares of a pass's bytes and of the trainer's work.
#[derive(Debug, Clone, Copy)]
pub struct Product {
    /// Input rows over those of all products.
    pub inputs: f64,
    /// Output rows, likewise.
    pub outputs: f64,
    /// Multiply-adds, likewise.
    pub work: f64,
}

/// What works on one thing after another, in the order in which they come.
#[derive(Debug, Clone, Copy, Default)]
struct Queue {
    free: u64,
    busy: u64,
}

impl Queue {
    /// When something is done that comes at `ready` and takes so long.
    fn take(&mut self, ready: u64, takes: u64) -> u64 {
        self.free = self.free.max(ready) + takes;
        self.busy += takes;
        self.free
    }
}

/// Who does a part of a product.
#[derive(Debug, Clone, Copy)]
enum Place {
    Client,
    Uplink,
    Replica,
    Downlink,
}

/// A step as it went.
struct Step {
    images_per_second: f64,
    bottleneck: &'static str,
    /// Share of the step that the bottleneck was busy.
    busy: f64,
}

/// The parts of a pass of so many blocks by one stream, one after the other.
fn pass(
    costs: &Costs,
    products: &[Product],
    blocks: usize,
    client: (f64, f64),
) -> Vec<(Place, u64)> {
    let ((cores, gigabits), of) = (client, costs.per_block(blocks));
    let count = blocks as f64;
    let nanos = |seconds: f64| (seconds * count * NANOS) as u64;
    let link = |bytes: f64| nanos(bytes * 8.0 / (gigabits * 1e9));
    // A row costs the client about the same both ways.
    let (up, down) = (of.bytes_up, of.bytes_down);
    let (encrypt, decrypt) = (up / (up + down), down / (up + down));
    let mut parts = Vec::new();
    for product in products {
        let cpu = of.client_cpu / cores;
        parts.push((Place::Client, nanos(cpu * encrypt * product.inputs)));
        parts.push((Place::Uplink, link(up * product.inputs)));
        parts.push((Place::Replica, nanos(of.trainer_cpu / REPLICA_CORES * product.work)));
        parts.push((Place::Downlink, link(down * product.outputs)));
        parts.push((Place::Client, nanos(cpu * decrypt * product.outputs)));
    }
    parts
}

/// A step of [`BLOCKS`] blocks over so many replicas.
fn step(costs: &Costs, products: &[Product], replicas: usize, client: (f64, f64)) -> Step {
    let own = BLOCKS / replicas;
    let together = own.min(TOGETHER);
    let one = pass(costs, products, together, client);
    let parts: Vec<_> = (0..own / together).flat_map(|_| one.iter().copied()).collect();
    let (mut cpu, mut up, mut down) = (Queue::default(), Queue::default(), Queue::default());
    let mut trainers = vec![Queue::default(); replicas];
    let mut waiting: BinaryHeap<_> = (0..replicas).map(|shard| Reverse((0, shard, 0))).collect();
    let mut end = 0;
    while let Some(Reverse((ready, shard, at))) = waiting.pop() {
        let Some(&(place, takes)) = parts.get(at) else {
            end = end.max(ready);
            continue;
        };
        let queue = match place {
            Place::Client => &mut cpu,
            Place::Uplink => &mut up,
            Place::Replica => &mut trainers[shard],
            Place::Downlink => &mut down,
        };
        waiting.push(Reverse((queue.take(ready, takes), shard, at + 1)));
    }
    // The commit, for which everybody waits.
    end += (costs.commit * NANOS) as u64;
    end += (costs.commit_bytes * 8.0 / (client.1 * 1e9) * NANOS) as u64;
    let busy = |queue: &Queue| queue.busy as f64 / end as f64;
    let replica = trainers.iter().map(busy).fold(0.0, f64::max);
    let (bottleneck, busy) = [
        ("client's cores", busy(&cpu)),
        ("uplink", busy(&up)),
        ("downlink", busy(&down)),
        ("replicas", replica),
    ]
    .into_iter()
    .max_by(|one, other| one.1.total_cmp(&other.1))
    .unwrap();
    let images_per_second = (BLOCKS * 2048) as f64 * NANOS / end as f64;
    Step { images_per_second, bottleneck, busy }
}

/// Prints images a second by the number of replicas, and what holds more of them back.
pub fn print(costs: &Costs, products: &[Product]) {
    println!("\nsimulated: steps of {BLOCKS} blocks, images/s and what is busy most of the step");
    print!("replicas");
    CLIENTS.iter().for_each(|(cores, link)| print!(" | client of {cores} cores, {link} Gbit/s"));
    println!();
    for replicas in [1, 2, 4, 8, 16, 32, 64] {
        print!("{replicas}");
        for client in CLIENTS {
            let Step { images_per_second, bottleneck, busy } =
                step(costs, products, replicas, client);
            print!(" | {images_per_second:.0}, {bottleneck} {:.0} %", 100.0 * busy);
        }
        println!();
    }
    println!("\nmost that a line allows, blocks of four together: images/s up, down");
    let of = costs.per_block(TOGETHER);
    for megabits in [10.0, 100.0, 1_000.0, 10_000.0] {
        let images = |bytes: f64| megabits * 1e6 / 8.0 / (bytes / 2048.0);
        let (up, down) = (images(of.bytes_up), images(of.bytes_down));
        println!("{megabits} Mbit/s: {up:.0}, {down:.0}");
    }
}
