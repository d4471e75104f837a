//! A trainer that answers what it likes, and writes down what it is sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sphinx_proto::v1::commit_chunk::Part as Chunk;
use sphinx_proto::v1::train_request::Part as Asked;
use sphinx_proto::v1::train_response::Part as Answered;
use sphinx_proto::v1::{Direction, Evaluate, InputRows, OutputRows};
use sphinx_testbed::liar::{Answer, Passing, Trick};

/// Slots of a block.
pub const SLOTS: usize = 2048;

/// A product: its stage and direction.
pub type Product = (u32, Direction);

/// A ciphertext row: mask and body.
pub struct Row {
    pub mask: Vec<u32>,
    pub body: Vec<u32>,
}

impl Row {
    /// A row that everybody can decrypt: the integers themselves.
    pub fn clear(body: impl Fn(usize) -> i32) -> Self {
        let body = (0..SLOTS).map(|slot| body(slot).cast_unsigned()).collect();
        Self { mask: vec![0; SLOTS], body }
    }
}

/// The largest integer that a result can be.
pub const LARGEST: i32 = i32::MAX;

/// Makes a row of an answer from the input rows of the question.
pub type Invent = Box<dyn Fn(usize, &Inputs) -> Row + Send>;

/// Input rows of a question, their masks expanded.
#[derive(Default)]
pub struct Inputs {
    pub rows: Vec<(Vec<u32>, Vec<u32>)>,
}

/// What the trainer has seen.
#[derive(Default)]
pub struct Seen {
    /// The last inputs of each product.
    pub inputs: HashMap<Product, Inputs>,
    /// Gradients of weights by commit and stage.
    pub commits: Vec<Vec<Vec<f32>>>,
}

/// A trick with what it sees.
pub struct Liar {
    seen: Arc<Mutex<Seen>>,
}

impl Liar {
    /// Answers products by these inventions.
    pub fn new(inventions: Vec<(Product, Invent)>) -> (Self, Trick) {
        let inventions: HashMap<Product, Invent> = inventions.into_iter().collect();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let own = Arc::clone(&seen);
        let (mut asked, mut running) = (HashMap::new(), (0, Direction::Unspecified));
        let mut last = running;
        let trick: Trick = Box::new(move |passing| {
            let mut seen = locked(&own);
            match passing {
                Passing::Asked(request) => match &request.part {
                    Some(Asked::Evaluate(call)) => {
                        last = product(call);
                        asked.insert(call.call, last);
                        seen.inputs.insert(last, Inputs::default());
                    }
                    Some(Asked::Input(rows)) => {
                        if let Some(inputs) = seen.inputs.get_mut(&last) {
                            inputs.take(rows);
                        }
                    }
                    Some(Asked::Commit(_)) => seen.commits.push(Vec::new()),
                    Some(Asked::CommitChunk(chunk)) => {
                        if let (Some(Chunk::Gradient(part)), Some(commit)) =
                            (&chunk.part, seen.commits.last_mut())
                        {
                            let stage = part.stage as usize;
                            commit.resize_with(commit.len().max(stage + 1), Vec::new);
                            let values = part.values.as_chunks::<4>().0.iter();
                            commit[stage].extend(values.map(|value| f32::from_le_bytes(*value)));
                        }
                    }
                    _ => {}
                },
                Passing::Answered(reply) => match &mut reply.part {
                    Some(Answered::Result(result)) => running = asked[&result.call],
                    Some(Answered::Output(rows)) => {
                        if let Some(invent) = inventions.get(&running) {
                            replace(rows, |row| invent(row, &seen.inputs[&running]));
                        }
                    }
                    _ => {}
                },
                Passing::Described(..) => {}
            }
            Answer::Pass
        });
        (Self { seen }, trick)
    }

    /// What it has seen so far.
    pub fn seen(&self) -> MutexGuard<'_, Seen> {
        locked(&self.seen)
    }
}

fn locked(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().unwrap_or_else(PoisonError::into_inner)
}

fn product(call: &Evaluate) -> Product {
    (call.stage, call.direction())
}

fn replace(rows: &mut OutputRows, invent: impl Fn(usize) -> Row) {
    let (mut masks, mut bodies) = (Vec::new(), Vec::new());
    for &row in &rows.rows {
        let Row { mask, body } = invent(row as usize);
        masks.extend(mask.iter().flat_map(|word| word.to_le_bytes()));
        bodies.extend(body.iter().flat_map(|word| word.to_le_bytes()));
    }
    (rows.masks, rows.bodies) = (masks.into(), bodies.into());
}

impl Inputs {
    fn take(&mut self, rows: &InputRows) {
        let bodies = rows.bodies.chunks_exact(4 * SLOTS);
        for (seed, body) in rows.seeds.as_chunks::<16>().0.iter().zip(bodies) {
            let mut mask = vec![0; SLOTS];
            sphinx_linalg::expand_mask(sphinx_linalg::Seed(*seed), &mut mask);
            let body = body.as_chunks::<4>().0.iter().map(|word| u32::from_le_bytes(*word));
            self.rows.push((mask, body.collect()));
        }
    }
}
