//! Encrypting the masks of a stage while they are being sent.

use std::future::ready;
use std::iter::once;
use std::sync::Arc;

use futures::{Stream, StreamExt, stream};
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_linalg::SLOTS;
use sphinx_proto::v1::prepare_request::Part;
use sphinx_proto::v1::{PrepareHeader, PrepareInput, PrepareRequest};
use sphinx_secret::SecretKey;
use sphinx_wire::rows::{TICKET_ROWS, rows_per_upload};
use zeroize::Zeroizing;

use crate::recognition::Recogniser;
use crate::recognition::masks::StageMasks;
use crate::recognition::offload::offload;

/// Messages encrypted ahead of what has been sent.
const AHEAD: usize = 2;
/// Rows of a message: each has one body.
const ROWS_PER_UPLOAD: usize = rows_per_upload(1);

/// The header, then the encryptions of r 2^(64 - t), in row order.
pub(super) fn requests(
    recogniser: &Recogniser,
    key: &Arc<SecretKey>,
    header: PrepareHeader,
    ticket_bits: u32,
    masks: &Arc<StageMasks>,
    mut rng: ChaCha20Rng,
) -> impl Stream<Item = PrepareRequest> + Send + 'static {
    let (key, masks) = (Arc::clone(key), Arc::clone(masks));
    let chunks = (0..masks.inputs).step_by(ROWS_PER_UPLOAD);
    let chunks = chunks.map(move |first| (first, ChaCha20Rng::from_rng(&mut rng)));
    let inputs = stream::iter(chunks)
        .map(move |(first, rng)| {
            let (key, masks) = (Arc::clone(&key), Arc::clone(&masks));
            offload(move || encrypt(&key, &masks, ticket_bits, first, rng))
        })
        .buffered(AHEAD)
        // A stream that ends early is refused by the service.
        .take_while(|input| ready(input.is_ok()))
        .filter_map(|input| ready(input.ok()));
    let counter = Arc::clone(&recogniser.counter);
    stream::iter(once(Part::Header(header))).chain(inputs.map(Part::Input)).map(move |part| {
        let request = PrepareRequest { part: Some(part) };
        counter.sent(&request);
        request
    })
}

fn encrypt(
    key: &SecretKey,
    masks: &StageMasks,
    ticket_bits: u32,
    first: usize,
    mut rng: ChaCha20Rng,
) -> PrepareInput {
    let rows = ROWS_PER_UPLOAD.min(masks.inputs - first);
    let mut messages = Zeroizing::new(vec![0u64; rows * SLOTS]);
    // From ticket after ticket to row after row; slots without a ticket stay zero.
    messages.par_chunks_exact_mut(SLOTS).enumerate().for_each(|(row, slots)| {
        let words = masks.words.chunks_exact(masks.inputs);
        for (slot, words) in slots.iter_mut().zip(words) {
            *slot = u64::from(words[first + row]) << (64 - ticket_bits);
        }
    });
    let encrypted = key.encrypt_rows(&messages, TICKET_ROWS.upload, &mut rng);
    let (seeds, bodies) = (encrypted.seeds.into(), encrypted.bodies.into());
    PrepareInput { first_row: first as u32, seeds, bodies }
}
