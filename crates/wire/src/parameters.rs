//! Weights and encrypted biases of a stage, part by part.

use bytes::Bytes;
use sphinx_linalg::{BIAS_WIDTH, BiasError, EncryptedBiases, ROW_WORDS};

use crate::Mismatch;

/// Most weights of one answer: 1 MiB, below the 4 MiB that gRPC clients accept.
pub const WEIGHTS_PER_PART: u32 = 262_144;
/// Most biases of one answer: 1.5 MiB.
pub const BIASES_PER_PART: u32 = 64;

/// Bytes of a bias as it is stored and sent: mask, then body.
const BIAS_BYTES: usize = ROW_WORDS * BIAS_WIDTH.bytes();

/// Weights from `offset` on, little-endian f32, at most `count` and at most
/// [`WEIGHTS_PER_PART`]; `None` if there is no such place.
pub fn weights_part(weights: &[f32], offset: u64, count: u32) -> Option<Bytes> {
    let offset = usize::try_from(offset).ok()?;
    let count = count.min(WEIGHTS_PER_PART) as usize;
    let part = weights.get(offset..weights.len().min(offset.saturating_add(count)))?;
    Some(part.iter().flat_map(|value| value.to_le_bytes()).collect())
}

/// Appends the weights of a part to those of its stage, which has `total`.
///
/// # Errors
/// [`Mismatch`] if the part is empty, not whole f32, or more than is missing.
pub fn append_weights(part: &[u8], total: usize, weights: &mut Vec<f32>) -> Result<(), Mismatch> {
    let (values, rest) = part.as_chunks::<4>();
    if values.is_empty() || !rest.is_empty() || weights.len() + values.len() > total {
        let got = format!("{} bytes of weights at {}", part.len(), weights.len());
        return Err(Mismatch::new(got, format!("{total} f32 in all")));
    }
    weights.extend(values.iter().map(|value| f32::from_le_bytes(*value)));
    Ok(())
}

/// Number of biases that a stage's stored bytes hold.
pub fn stored_biases(stored: &[u8]) -> usize {
    stored.len() / BIAS_BYTES
}

/// Stored biases from `first` on, at most `count` and at most [`BIASES_PER_PART`]; `None` if
/// there is no such place.
pub fn biases_part(stored: &Bytes, first: u32, count: u32) -> Option<Bytes> {
    let (first, total) = (first as usize, stored_biases(stored));
    let end = total.min(first.saturating_add(count.min(BIASES_PER_PART) as usize));
    (first <= total).then(|| stored.slice(first * BIAS_BYTES..end * BIAS_BYTES))
}

/// Reads a part of `count` biases.
///
/// # Errors
/// [`BiasError::StoredLength`] if there are more or fewer.
pub fn read_biases(part: &[u8], count: u32) -> Result<EncryptedBiases, BiasError> {
    EncryptedBiases::from_bytes(part, count as usize)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn weights_survive_the_journey(
            weights in proptest::collection::vec(any::<f32>(), 1..200),
            count in 1u32..80,
        ) {
            let mut back = Vec::new();
            while back.len() < weights.len() {
                let part = weights_part(&weights, back.len() as u64, count).unwrap();
                append_weights(&part, weights.len(), &mut back).unwrap();
            }
            let bits = |values: &[f32]| values.iter().map(|v| v.to_bits()).collect::<Vec<_>>();
            prop_assert_eq!(bits(&back), bits(&weights));
        }
    }

    #[test]
    fn places_beyond_the_end_have_no_part() {
        assert_eq!(weights_part(&[1.0; 3], 3, 9), Some(Bytes::new()));
        assert_eq!(weights_part(&[1.0; 3], 4, 9), None);
        assert_eq!(weights_part(&[1.0; 3], u64::MAX, 9), None);
        let stored = Bytes::from(EncryptedBiases::zero(3).to_bytes());
        assert_eq!(stored_biases(&stored), 3);
        assert_eq!(biases_part(&stored, 1, 9).unwrap().len(), 2 * BIAS_BYTES);
        assert_eq!(biases_part(&stored, 4, 1), None);
        assert_eq!(read_biases(&biases_part(&stored, 2, 1).unwrap(), 1).unwrap().len(), 1);
        assert!(read_biases(&stored, 2).is_err());
    }

    #[test]
    fn rejects_parts_that_do_not_fit() {
        for (part, total) in [(vec![], 2), (vec![0; 7], 2), (vec![0; 12], 2)] {
            assert!(append_weights(&part, total, &mut Vec::new()).is_err(), "{}", part.len());
        }
    }
}
