//! Encrypted biases as recognition needs them: of each the whole mask, of the body the first word.
//!
//! A bias is in all coefficients of its ciphertext, so one coefficient tells it.

use bytes::Bytes;
use sphinx_linalg::{BIAS_WIDTH, BiasError, POLYNOMIAL_SIZE, ROW_WORDS, unpack};
use sphinx_proto::v1::PrepareBiases;

use crate::Mismatch;

/// Biases per message: 0.8 MB.
const PER_MESSAGE: usize = 64;
/// Bytes of a stored mask or body.
const HALF_BYTES: usize = POLYNOMIAL_SIZE * BIAS_WIDTH.bytes();
/// Bytes of one packed word.
const WORD_BYTES: usize = BIAS_WIDTH.bytes();

/// The encrypted biases of a stage as stored: per bias the mask, then the body, each N words of
/// [`BIAS_WIDTH`] in planes.
#[derive(Debug, Clone)]
pub struct StoredBiases(Bytes);

impl StoredBiases {
    /// The stored bytes of `count` biases.
    ///
    /// # Errors
    /// [`BiasError::StoredLength`] if the size is wrong.
    pub fn new(bytes: Bytes, count: usize) -> Result<Self, BiasError> {
        let expected = 2 * HALF_BYTES * count;
        if bytes.len() == expected {
            Ok(Self(bytes))
        } else {
            Err(BiasError::StoredLength { got: bytes.len(), expected })
        }
    }

    /// Bytes of memory.
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Number of biases.
    pub fn count(&self) -> usize {
        self.0.len() / (2 * HALF_BYTES)
    }

    /// Number of messages the biases take.
    pub fn messages(&self) -> usize {
        self.count().div_ceil(PER_MESSAGE)
    }

    /// One message: of each bias the mask and the first word of the body. A copy.
    pub fn message(&self, index: usize) -> PrepareBiases {
        let first = index * PER_MESSAGE;
        let (mut masks, mut bodies) = (Vec::new(), Vec::new());
        let rows = self.0.chunks_exact(2 * HALF_BYTES).map(|row| row.split_at(HALF_BYTES));
        for (mask, body) in rows.skip(first).take(PER_MESSAGE) {
            masks.extend_from_slice(mask);
            bodies.extend(first_word(body));
        }
        PrepareBiases { first: first as u32, masks: masks.into(), bodies: bodies.into() }
    }
}

/// The bytes of the first word of a packed body: the first piece of each plane, 4 and 2 bytes.
fn first_word(body: &[u8]) -> impl Iterator<Item = &u8> {
    const { assert!(WORD_BYTES == 6) };
    let (high, low) = body.split_at(POLYNOMIAL_SIZE * 4);
    high.iter().take(4).chain(low.iter().take(2))
}

/// The ciphertexts of a message, each [`ROW_WORDS`] words: mask, then a body of which the first
/// word alone is set. `next` is the first bias that has not come yet, `left` how many have not.
///
/// # Errors
/// [`Mismatch`] if the message is not whole biases from `next` on, or more than `left`.
pub fn rows(message: &PrepareBiases, next: usize, left: usize) -> Result<Vec<Vec<u64>>, Mismatch> {
    let (first, masks, bodies) = (message.first as usize, &message.masks, &message.bodies);
    let count = bodies.len() / WORD_BYTES;
    let sound = first == next
        && (1..=left).contains(&count)
        && (masks.len(), bodies.len()) == (count * HALF_BYTES, count * WORD_BYTES);
    if !sound {
        let (masks, bodies) = (masks.len(), bodies.len());
        return Err(Mismatch::new(
            format!("{masks} and {bodies} bytes of biases from {first} on"),
            format!("1 to {left} biases of {HALF_BYTES} and {WORD_BYTES} bytes from {next} on"),
        ));
    }
    let rows = masks.chunks_exact(HALF_BYTES).zip(bodies.chunks_exact(WORD_BYTES));
    let row = |(mask, body): (&[u8], &[u8])| {
        let mut row = vec![0u64; ROW_WORDS];
        let (mask_words, body_words) = row.split_at_mut(POLYNOMIAL_SIZE);
        unpack(mask, BIAS_WIDTH, mask_words);
        let (first, _) = body_words.split_at_mut(1);
        unpack(body, BIAS_WIDTH, first);
        row
    };
    Ok(rows.map(row).collect())
}

#[cfg(test)]
mod tests {
    use sphinx_linalg::{EncryptedBiases, SEED_BYTES};

    use super::*;

    /// Expanded ciphertexts of `count` biases, of no meaning but with all words different.
    fn ciphertexts(count: usize) -> EncryptedBiases {
        let mut biases = EncryptedBiases::zero(count);
        let seeds: Vec<u8> = (0..count * SEED_BYTES).map(|i| (i * 37 % 251) as u8).collect();
        let bodies: Vec<u8> = (0..count * HALF_BYTES).map(|i| (i * 31 % 253) as u8).collect();
        biases.add_seeded(0, &seeds, &bodies).unwrap();
        biases
    }

    #[test]
    fn masks_and_first_words_survive_the_journey() {
        let biases = ciphertexts(70);
        let stored = StoredBiases::new(biases.to_bytes().into(), 70).unwrap();
        assert_eq!((stored.count(), stored.messages()), (70, 2));
        let mut received = Vec::new();
        for index in 0..stored.messages() {
            let message = stored.message(index);
            received.extend(rows(&message, received.len(), 70 - received.len()).unwrap());
        }
        let sent = EncryptedBiases::from_bytes(&biases.to_bytes(), 70).unwrap();
        assert_eq!(received.len(), 70);
        for (index, row) in received.iter().enumerate() {
            assert_eq!(row[..=POLYNOMIAL_SIZE], sent.row(index)[..=POLYNOMIAL_SIZE]);
        }
    }

    #[test]
    fn rejects_biases_out_of_order_too_many_or_cut_short() {
        let stored = StoredBiases::new(ciphertexts(3).to_bytes().into(), 3).unwrap();
        let message = stored.message(0);
        assert!(rows(&message, 1, 3).is_err());
        assert!(rows(&message, 0, 2).is_err());
        let cut = PrepareBiases { masks: message.masks.slice(1..), ..message.clone() };
        let error = rows(&cut, 0, 3).unwrap_err();
        assert_eq!(error.got, "36863 and 18 bytes of biases from 0 on");
        assert!(rows(&PrepareBiases::default(), 0, 3).is_err());
        let wrong = StoredBiases::new(Bytes::from(vec![0; 12]), 1);
        assert!(matches!(wrong, Err(BiasError::StoredLength { got: 12, expected: 24_576 })));
    }
}
