//! How the integer weights of two versions differ: folded, then packed in as few bits as the
//! largest of a message needs.

use sphinx_linalg::{pack_bits, packed_bits_len, unpack_bits};
use sphinx_proto::v1::SyncDifference;
use sphinx_quantise::{MAX_WEIGHT_DIFFERENCE, weight_difference};

use crate::Mismatch;

/// Weights per message: at most 1.2 MB.
const PER_MESSAGE: usize = 1 << 20;
/// Largest folded difference.
const MAX_FOLDED: u32 = 2 * MAX_WEIGHT_DIFFERENCE.unsigned_abs();
/// Bits that it takes.
const MAX_BITS: u32 = MAX_FOLDED.ilog2() + 1;

/// The messages of one stage, in order: 0 to 9 bits per weight.
pub fn messages(stage: u32, from: &[i8], to: &[i8]) -> Vec<SyncDifference> {
    let firsts = (0u32..).step_by(PER_MESSAGE);
    let pieces = from.chunks(PER_MESSAGE).zip(to.chunks(PER_MESSAGE));
    firsts.zip(pieces).map(|(first, (from, to))| message(stage, first, from, to)).collect()
}

fn message(stage: u32, first: u32, from: &[i8], to: &[i8]) -> SyncDifference {
    let folded: Vec<u32> = weight_difference(from, to).into_iter().map(fold).collect();
    let bits =
        folded.iter().fold(0, |all, word| all | word).checked_ilog2().map_or(0, |log| log + 1);
    let mut values = vec![0; packed_bits_len(folded.len(), bits)];
    if bits > 0 {
        pack_bits(&folded, bits, &mut values);
    }
    SyncDifference { stage, first, count: folded.len() as u32, bits, values: values.into() }
}

/// Appends the differences of a message to those of its stage, which has `total`.
///
/// # Errors
/// [`Mismatch`] if the message is of another stage, out of order, too long or not of the form.
pub fn append(
    message: &SyncDifference,
    stage: usize,
    total: usize,
    weights: &mut Vec<i32>,
) -> Result<(), Mismatch> {
    let &SyncDifference { stage: of, first, count, bits, .. } = message;
    let (next, left) = (weights.len(), total - weights.len());
    let got = count as usize;
    let sound = (of as usize, first as usize) == (stage, next)
        && (1..=left).contains(&got)
        && bits <= MAX_BITS
        && message.values.len() == packed_bits_len(got, bits);
    let mut folded = vec![0; if sound { got } else { 0 }];
    if bits > 0 && sound {
        unpack_bits(&message.values, bits, &mut folded);
    }
    if !sound || folded.iter().any(|&word| word > MAX_FOLDED) {
        let bytes = message.values.len();
        return Err(Mismatch::new(
            format!(
                "{count} weights of {bits} bits from {first} on of stage {of} in {bytes} bytes"
            ),
            format!("1 to {left} weights from {next} on of stage {stage}"),
        ));
    }
    weights.extend(folded.into_iter().map(unfold));
    Ok(())
}

/// 0, -1, 1, -2, … as 0, 1, 2, 3, … (zigzag code).
fn fold(value: i32) -> u32 {
    value.unsigned_abs() * 2 - u32::from(value < 0)
}

/// 0, 1, 2, 3, … as 0, -1, 1, -2, …
fn unfold(word: u32) -> i32 {
    (word >> 1).cast_signed() ^ -((word & 1).cast_signed())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn differences_survive_the_journey(
            pairs in proptest::collection::vec((-127i8..=127, -127i8..=127), 1..300),
        ) {
            let (from, to): (Vec<i8>, Vec<i8>) = pairs.iter().copied().unzip();
            let mut back = Vec::new();
            for message in messages(2, &from, &to) {
                append(&message, 2, pairs.len(), &mut back).unwrap();
            }
            prop_assert_eq!(back, weight_difference(&from, &to));
        }
    }

    #[test]
    fn equal_weights_take_no_bytes_and_the_largest_difference_nine_bits() {
        let none = message(3, 7, &[5, -127, 0], &[5, -127, 0]);
        assert_eq!((none.stage, none.first, none.count, none.bits), (3, 7, 3, 0));
        assert!(none.values.is_empty());
        let most = message(0, 0, &[127, -127, 1, 2], &[-127, 127, 2, 1]);
        assert_eq!((most.count, most.bits), (4, 9));
        let mut words = [0; 4];
        unpack_bits(&most.values, most.bits, &mut words);
        assert_eq!(words, [507, 508, 2, 1]);
    }

    #[test]
    fn rejects_other_stages_places_and_values() {
        let sent = message(1, 0, &[127, 0], &[-127, 5]);
        let wrong = [
            SyncDifference { stage: 0, ..sent.clone() },
            SyncDifference { first: 1, ..sent.clone() },
            SyncDifference { count: 3, ..sent.clone() },
            SyncDifference { bits: 10, ..sent.clone() },
            SyncDifference { values: vec![0xff; sent.values.len()].into(), ..sent.clone() },
            SyncDifference { values: sent.values.slice(1..), ..sent.clone() },
        ];
        for message in &wrong {
            assert!(append(message, 1, 2, &mut Vec::new()).is_err(), "{message:?}");
        }
        assert!(append(&sent, 1, 1, &mut Vec::new()).is_err(), "more than the stage has");
        assert!(append(&sent, 1, 2, &mut Vec::new()).is_ok());
    }
}
