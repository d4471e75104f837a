//! Rows received chunk by chunk.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use std::sync::Arc;

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sphinx_linalg::{
    CipherMatrix, Group, LinearMap, POLYNOMIAL_SIZE, PackedMap, Patch, SEED_BYTES, Seed, Upload,
    UploadError, Width, expand_mask, unpack,
};

const BODY: usize = POLYNOMIAL_SIZE * 4;

/// Seeds and bodies of some rows.
fn rows(count: usize) -> (Vec<u8>, Vec<u8>) {
    rows_of(count, 1)
}

fn rows_of(count: usize, each: usize) -> (Vec<u8>, Vec<u8>) {
    let mut rng = ChaCha8Rng::seed_from_u64(count as u64);
    let (mut seeds, mut bodies) = (vec![0; count * SEED_BYTES], vec![0; count * each * BODY]);
    rng.fill_bytes(&mut seeds);
    rng.fill_bytes(&mut bodies);
    (seeds, bodies)
}

/// The identity on `rows` rows, which shows a matrix as it is.
fn contents(matrix: &CipherMatrix<u32>) -> Vec<u32> {
    let patches: Arc<[Patch]> = (0..matrix.rows() as u32)
        .map(|row| Patch { gather: vec![row], scatter: vec![row] })
        .collect();
    let group = Group { taps: 1, rows: 1, weights: vec![1], patches };
    let map = LinearMap::new(matrix.rows(), matrix.rows(), vec![group]).unwrap();
    let map = PackedMap::new(map);
    let units = map.units(matrix.columns());
    units.iter().flat_map(|unit| map.evaluate(unit, matrix).unwrap().words).collect()
}

#[test]
fn rows_are_masks_of_their_seeds_and_bodies_however_they_are_cut() {
    for each in [1, 3] {
        let (seeds, bodies) = rows_of(11, each);
        let (columns, row_bytes) = ((1 + each) * POLYNOMIAL_SIZE, each * BODY);
        let mut expected = vec![0u32; 11 * columns];
        for (index, row) in expected.chunks_exact_mut(columns).enumerate() {
            let (mask, own) = row.split_at_mut(POLYNOMIAL_SIZE);
            expand_mask(Seed(*seeds[index * SEED_BYTES..].first_chunk().unwrap()), mask);
            let bytes = bodies[index * row_bytes..][..row_bytes].chunks(BODY);
            own.chunks_mut(POLYNOMIAL_SIZE)
                .zip(bytes)
                .for_each(|(body, bytes)| unpack(bytes, Width::Four, body));
        }
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..5 {
            let mut upload = Upload::<u32>::new(11, each, Width::Four);
            while upload.received() < 11 {
                let first = upload.received();
                let end = rng.random_range(first + 1..=11);
                let seeds = &seeds[first * SEED_BYTES..end * SEED_BYTES];
                upload.push(first, seeds, &bodies[first * row_bytes..end * row_bytes]).unwrap();
            }
            let matrix = upload.finish().unwrap();
            assert_eq!((matrix.rows(), matrix.columns()), (11, columns));
            assert!(contents(&matrix) == expected);
        }
    }
}

#[test]
fn rejects_each_wrong_chunk_and_stores_nothing_of_it() {
    let (seeds, bodies) = rows(4);
    let mut upload = Upload::<u32>::new(4, 1, Width::Four);
    let chunk = |count: usize| (&seeds[..count * SEED_BYTES], &bodies[..count * BODY]);
    upload.push(0, chunk(1).0, chunk(1).1).unwrap();
    let cases = [
        (0, chunk(1), UploadError::OutOfOrder { got: 0, expected: 1 }),
        (2, chunk(1), UploadError::OutOfOrder { got: 2, expected: 1 }),
        (usize::MAX, chunk(1), UploadError::OutOfOrder { got: usize::MAX, expected: 1 }),
        (1, chunk(4), UploadError::TooManyRows { got: 5, expected: 4 }),
        (1, (&seeds[..0], &bodies[..0]), UploadError::SeedLength { got: 0 }),
        (1, (&seeds[..31], &bodies[..2 * BODY]), UploadError::SeedLength { got: 31 }),
        (
            1,
            (&seeds[..32], &bodies[..2 * BODY - 1]),
            UploadError::BodyLength { got: 2 * BODY - 1, rows: 2, expected: 2 * BODY },
        ),
        (
            1,
            (&seeds[..16], &bodies[..2 * BODY]),
            UploadError::BodyLength { got: 2 * BODY, rows: 1, expected: BODY },
        ),
        (
            1,
            (&seeds[..16], &bodies[..0]),
            UploadError::BodyLength { got: 0, rows: 1, expected: BODY },
        ),
    ];
    for (first, (seeds, bodies), expected) in cases {
        assert_eq!(upload.push(first, seeds, bodies), Err(expected));
        assert_eq!(upload.received(), 1);
    }
    upload.push(1, &seeds[SEED_BYTES..], &bodies[BODY..]).unwrap();
    let error = UploadError::TooManyRows { got: 5, expected: 4 };
    assert_eq!(upload.push(4, chunk(1).0, chunk(1).1), Err(error));

    let mut whole = Upload::<u32>::new(4, 1, Width::Four);
    whole.push(0, &seeds, &bodies).unwrap();
    assert!(contents(&upload.finish().unwrap()) == contents(&whole.finish().unwrap()));
}

#[test]
fn rejects_an_upload_that_is_cut_short() {
    let (seeds, bodies) = rows(3);
    let mut upload = Upload::<u32>::new(4, 1, Width::Four);
    upload.push(0, &seeds, &bodies).unwrap();
    assert_eq!(upload.finish().unwrap_err(), UploadError::Incomplete { got: 3, expected: 4 });
    let error = UploadError::Incomplete { got: 0, expected: 1 };
    assert_eq!(Upload::<u64>::new(1, 1, Width::Six).finish().unwrap_err(), error);
    assert_eq!(Upload::<u64>::new(0, 1, Width::Six).finish().unwrap().rows(), 0);
}
