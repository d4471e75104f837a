//! Keys of one evaluation: ciphertexts that share masks are tfhe's, products decrypt to the
//! integers they are over ℤ, and a product that is wrong anywhere shows in the tally.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod world;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_check::{Limbs, project, random};
use sphinx_linalg::{LinearMap, POLYNOMIAL_SIZE, Profile, Width, noise_bound_log2, pack};
use sphinx_secret::{BlockKeys, DecryptError, KeyError, Tally};
use tfhe::core_crypto::commons::math::random::{CompressionSeed, Seed as TfheSeed};
use tfhe::core_crypto::prelude::*;

use crate::world::{
    Answer, HALF, NOISE, World, bits, decrypt, encrypt, evaluate, idle, masks, messages, product,
    random_map, theirs, words,
};

/// Multiplies each polynomial by X.
fn rotate(bytes: &mut [u8]) {
    for polynomial in bytes.chunks_exact_mut(HALF) {
        let mut words = words(polynomial);
        words.rotate_right(1);
        words[0] = words[0].wrapping_neg();
        pack(&words, Width::Four, polynomial);
    }
}

fn blocks() -> impl Strategy<Value = usize> {
    prop::sample::select(vec![1usize, 2, 4])
}

#[test]
fn the_noise_of_a_block_does_not_depend_on_the_blocks_that_share_its_masks() {
    const ROWS: usize = 21;
    let generator = ChaCha20Rng::seed_from_u64;
    let tau = random(ROWS, &mut generator(1));
    // What is encrypted of these blocks, noise included, by its sums over the rows.
    let sums = |profile: Profile, blocks: &[u64]| {
        let keys = BlockKeys::generate(profile, blocks.len(), &mut generator(blocks[0])).unwrap();
        let mut noise: Vec<_> = blocks.iter().map(|block| generator(100 + block)).collect();
        let mut tally = Tally::new(Limbs::new(&tau), blocks.len());
        let fill = |row: usize, values: &mut [i32]| {
            for (values, block) in values.chunks_exact_mut(POLYNOMIAL_SIZE).zip(blocks) {
                values.fill(1000 * *block as i32 + row as i32);
            }
        };
        // Messages of other lengths, as they have with other numbers of blocks.
        let step = 9 / blocks.len();
        for first in (0..ROWS).step_by(step) {
            let rows = (first, step.min(ROWS - first));
            keys.encrypt_rows(rows, (&mut generator(7), &mut noise), fill, &mut tally);
        }
        tally.finish()
    };
    for profile in Profile::ALL {
        let apart = [sums(profile, &[1]), sums(profile, &[2, 3])].concat();
        assert!(sums(profile, &[1, 2, 3]) == apart, "{profile:?}");
        assert!(sums(profile, &[3, 2, 1]) != apart);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn every_mask_and_body_is_a_ciphertext_of_tfhe(blocks in blocks(), rows in 1usize..4, seed: u64) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let bits = bits(blocks, &mut rng);
        let keys = BlockKeys::from_coefficients(Profile::Glwe2048T32, &bits).unwrap();
        let messages = messages(rows, keys.slots(), &mut rng);
        let sent = encrypt(&keys, &messages, 2, &mut idle(rows, blocks), &mut rng);
        let (masks, bodies) = (words(&masks(&sent.seeds)), words(&sent.bodies));
        let bodies = bodies.chunks_exact(POLYNOMIAL_SIZE).zip(messages.chunks_exact(POLYNOMIAL_SIZE));
        let their_keys = theirs(&bits);
        let mut seen = 0;
        for (index, (body, messages)) in bodies.enumerate() {
            let (row, key) = (index / blocks, &their_keys[index % blocks]);
            let mask = &masks[row * POLYNOMIAL_SIZE..][..POLYNOMIAL_SIZE];
            let ciphertext = GlweCiphertext::from_container(
                [mask, body].concat(),
                PolynomialSize(POLYNOMIAL_SIZE),
                CiphertextModulus::new_native(),
            );
            let mut phase = PlaintextList::new(0, PlaintextCount(POLYNOMIAL_SIZE));
            decrypt_glwe_ciphertext(key, &ciphertext, &mut phase);
            for (phase, message) in phase.as_ref().iter().zip(messages) {
                let noise = phase.wrapping_sub(message.cast_unsigned()).cast_signed();
                prop_assert!(noise.abs() <= NOISE, "noise {noise}");
                seen |= 1 << (noise + NOISE);
            }
        }
        // Of 2048 samples and more each value comes, but for the ends, which are half as likely.
        prop_assert_eq!(seen & !(1 | 1u64 << 32), (1 << 32) - 2);
        prop_assert_eq!(NOISE, 1 << noise_bound_log2(u32::BITS));
    }

    #[test]
    fn ciphertexts_of_tfhe_decrypt_under_block_keys(blocks in blocks(), seed: u64, mask_seed: u128) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let bits = bits(blocks, &mut rng);
        let keys = BlockKeys::from_coefficients(Profile::Glwe2048T32, &bits).unwrap();
        let messages = messages(1, keys.slots(), &mut rng);
        let mut seeder = new_seeder();
        let mut answer = Answer { numbers: vec![0], masks: vec![], bodies: vec![] };
        // The same seed under each key: the same mask.
        for (key, messages) in theirs(&bits).iter().zip(messages.chunks(POLYNOMIAL_SIZE)) {
            let mut seeded = SeededGlweCiphertext::new(
                0u32,
                GlweSize(2),
                PolynomialSize(POLYNOMIAL_SIZE),
                CompressionSeed::from(TfheSeed(mask_seed)),
                CiphertextModulus::new_native(),
            );
            let plaintext: Vec<u32> = messages.iter().map(|value| value.cast_unsigned()).collect();
            encrypt_seeded_glwe_ciphertext(
                key,
                &mut seeded,
                &PlaintextList::from_container(plaintext),
                TUniform::<u32>::new(noise_bound_log2(u32::BITS)),
                seeder.as_mut(),
            );
            let full = seeded.decompress_into_glwe_ciphertext();
            let (mask, body) = full.as_ref().split_at(POLYNOMIAL_SIZE);
            let bytes = |words: &[u32]| words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let mask: Vec<u8> = bytes(mask);
            prop_assert!(answer.masks.is_empty() || answer.masks == mask);
            answer.masks = mask;
            answer.bodies.extend::<Vec<u8>>(bytes(body));
        }
        let (values, _) = decrypt(&keys, &answer, &[0]);
        let off = values.iter().zip(&messages).map(|(value, message)| (value - message).abs());
        prop_assert!(off.max().unwrap() <= NOISE);
    }

    #[test]
    fn a_product_decrypts_to_the_integers_that_it_is(blocks in blocks(), seed: u64) {
        let world = World::new(blocks, &mut ChaCha20Rng::seed_from_u64(seed));
        let noise = world.noisy.iter().zip(&world.messages).map(|(x, m)| (x - m).abs());
        prop_assert!(noise.max().unwrap() <= NOISE);
        let expected = product(&world.map, &world.noisy, world.keys.slots());
        let (values, sums) = decrypt(&world.keys, &world.answer, &world.tau);
        let values: Vec<i64> = values.into_iter().map(i64::from).collect();
        prop_assert!(values == expected);
        prop_assert!(sums == world.expected);
    }

    #[test]
    fn the_order_and_the_cut_of_answers_do_not_matter(seed: u64, cut: prop::sample::Index) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let world = World::new(2, &mut rng);
        let Answer { numbers, masks, bodies } = &world.answer;
        let mut order: Vec<usize> = (0..numbers.len()).collect();
        order.reverse();
        order.rotate_left(cut.index(numbers.len()));
        let picked = |bytes: &[u8], row: usize| -> Vec<u8> {
            order.iter().flat_map(|&at| bytes[at * row..][..row].to_vec()).collect()
        };
        let mixed = Answer {
            numbers: order.iter().map(|&at| numbers[at]).collect(),
            masks: picked(masks, HALF),
            bodies: picked(bodies, 2 * HALF),
        };
        prop_assert!(world.caught(&mixed).is_empty());
        prop_assert!(decrypt(&world.keys, &mixed, &world.tau).0
            == decrypt(&world.keys, &world.answer, &world.tau).0);

        // Two messages of rows, into one tally.
        let (cut, mut tally) = (cut.index(numbers.len() + 1), Tally::new(Limbs::new(&world.tau), 2));
        for rows in [0..cut, cut..numbers.len()] {
            let bytes = (
                &masks[rows.start * HALF..rows.end * HALF],
                &bodies[2 * rows.start * HALF..2 * rows.end * HALF],
            );
            let places = vec![(); rows.len()];
            world.keys.decrypt_rows(bytes, &numbers[rows], places, &mut tally, |_, (), _| ()).unwrap();
        }
        prop_assert!(tally.finish() == world.expected);
    }

    #[test]
    fn a_wrong_answer_shows(blocks in blocks(), seed: u64, at: prop::sample::Index, bit in 0u32..32) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let world = World::new(blocks, &mut rng);
        let row = blocks * HALF;
        let rows = world.answer.numbers.len();
        prop_assert!(world.lie(|_| ()).is_empty());

        // One bit of one body: in its slot and no other. The top bit adds 2^31.
        let word = at.index(world.answer.bodies.len() / 4);
        for bit in [bit, 31, 0] {
            let slots = world.lie(|answer| {
                answer.bodies[4 * word + bit as usize / 8] ^= 1 << (bit % 8);
            });
            prop_assert_eq!(slots, [word % (row / 4)]);
        }
        // One word of a mask: where a key has a one, that is in half of all slots.
        let word = at.index(world.answer.masks.len() / 4);
        for bit in [bit, 31] {
            let slots = world.lie(|answer| {
                answer.masks[4 * word + bit as usize / 8] ^= 1 << (bit % 8);
            });
            let share = slots.len() as f64 / world.keys.slots() as f64;
            prop_assert!((0.4..0.6).contains(&share), "{share}");
        }
        // Two rows under each other's number: none that are alike.
        let (values, _) = decrypt(&world.keys, &world.answer, &world.tau);
        let of = |at: usize| &values[world.answer.numbers[at] as usize * row / 4..][..row / 4];
        let one = at.index(rows);
        let other = (0..rows).find(|&other| of(other) != of(one)).unwrap();
        prop_assert!(!world.lie(|answer| answer.numbers.swap(one, other)).is_empty());
        // Slots of one row, and of all rows, moved on.
        let slots = world.lie(|answer| {
            rotate(&mut answer.masks[one * HALF..][..HALF]);
            rotate(&mut answer.bodies[one * row..][..row]);
        });
        prop_assert!(slots.len() > world.keys.slots() / 2);
        let slots = world.lie(|answer| {
            rotate(&mut answer.masks);
            rotate(&mut answer.bodies);
        });
        prop_assert!(slots.len() > world.keys.slots() / 2);
        // Two blocks exchanged.
        if blocks > 1 {
            let slots = world.lie(|answer| answer.bodies[one * row..][..row].rotate_left(HALF));
            prop_assert!(slots.len() > world.keys.slots() / 2);
        }
        // A row that is zero.
        let slots = world.lie(|answer| {
            answer.masks[one * HALF..][..HALF].fill(0);
            answer.bodies[one * row..][..row].fill(0);
        });
        prop_assert!(!slots.is_empty());
    }

    /// As an honest server of another version would answer.
    #[test]
    fn other_weights_show(blocks in blocks(), seed: u64, at: prop::sample::Index) {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let keys = BlockKeys::generate(Profile::Glwe2048T32, blocks, &mut rng).unwrap();
        let map = random_map(&mut rng);
        let messages = messages(map.inputs(), keys.slots(), &mut rng);
        let tau = random(map.outputs(), &mut rng);
        let mut tally = Tally::new(Limbs::new(&project(&map, &tau)), blocks);
        let rows = encrypt(&keys, &messages, map.inputs(), &mut tally, &mut rng);
        let mut groups = map.groups().to_vec();
        *at.get_mut(&mut groups[0].weights) += 1;
        let other = LinearMap::new(map.inputs(), map.outputs(), groups).unwrap();
        let answer = evaluate(&other, &rows, blocks);
        let (_, sums) = decrypt(&keys, &answer, &tau);
        let expected = tally.finish();
        let wrong = sums.iter().zip(&expected).filter(|(got, expected)| got != expected).count();
        // An input of zero hides it; one of 2^15 is.
        prop_assert!(wrong > keys.slots() * 9 / 10, "{wrong}");
    }
}

/// Of zeros, bodies are mask · key: alike they would be under one key.
#[test]
fn every_block_has_a_key_of_its_own() {
    let mut rng = ChaCha20Rng::seed_from_u64(9);
    let keys = BlockKeys::generate(Profile::Glwe2048T32, 4, &mut rng).unwrap();
    let rows = encrypt(&keys, &vec![0; keys.slots()], 1, &mut idle(1, 4), &mut rng);
    let bodies = words(&rows.bodies);
    let bodies: Vec<&[u32]> = bodies.chunks_exact(POLYNOMIAL_SIZE).collect();
    for (index, one) in bodies.iter().enumerate() {
        for other in &bodies[..index] {
            let near = |(a, b): &(&u32, &u32)| {
                a.wrapping_sub(**b).cast_signed().unsigned_abs() <= 2 * NOISE.unsigned_abs()
            };
            assert!(one.iter().zip(*other).filter(near).count() < 5);
        }
    }
    let again = BlockKeys::generate(Profile::Glwe2048T32, 4, &mut rng).unwrap();
    let numbers = vec![0];
    let fresh = Answer { numbers, masks: masks(&rows.seeds), bodies: rows.bodies };
    let small = |values: &[i32]| values.iter().filter(|value| value.abs() <= NOISE).count();
    assert_eq!(small(&decrypt(&keys, &fresh, &[0]).0), keys.slots());
    assert!(small(&decrypt(&again, &fresh, &[0]).0) < 5);
}

#[test]
fn rejects_coefficients_and_rows_that_do_not_fit() {
    let expected = POLYNOMIAL_SIZE;
    for (length, got) in [(0, 0), (7, 7), (POLYNOMIAL_SIZE + 1, 1)] {
        let error =
            BlockKeys::from_coefficients(Profile::Glwe2048T32, &vec![0; length]).unwrap_err();
        assert_eq!(error, KeyError::Length { got, expected });
    }
    let mut coefficients = vec![1; 2 * POLYNOMIAL_SIZE];
    coefficients[POLYNOMIAL_SIZE] = 2;
    let error = BlockKeys::from_coefficients(Profile::Glwe2048T32, &coefficients).unwrap_err();
    assert_eq!(error, KeyError::NotBinary { index: POLYNOMIAL_SIZE });

    let keys =
        BlockKeys::generate(Profile::Glwe2048T32, 2, &mut ChaCha20Rng::seed_from_u64(1)).unwrap();
    assert_eq!((keys.blocks(), keys.slots()), (2, 2 * POLYNOMIAL_SIZE));
    for (masks, bodies, numbers) in [
        (HALF, 2 * HALF, 0),
        (HALF, 2 * HALF, 2),
        (HALF, HALF, 1),
        (HALF - 1, 2 * HALF, 1),
        (2 * HALF, 4 * HALF, 1),
    ] {
        let bytes = (&*vec![0; masks], &*vec![0; bodies]);
        let (numbers, mut tally) = (vec![0; numbers], idle(2, 2));
        let refused = keys.decrypt_rows(bytes, &numbers, vec![()], &mut tally, |_, (), _| {
            panic!("nothing is decrypted");
        });
        let error =
            DecryptError::Length { masks, bodies, rows: 1, mask_row: HALF, body_row: 2 * HALF };
        assert_eq!(refused, Err(error));
    }
}

#[test]
fn debug_shows_no_secrets() {
    let keys = BlockKeys::from_coefficients(Profile::Glwe2048T32, &[1; POLYNOMIAL_SIZE]).unwrap();
    assert_eq!(format!("{keys:?}"), "BlockKeys { profile: Glwe2048T32, blocks: 1, .. }");
    let tally = Tally::new(Limbs::new(&[7_777_777; 3]), 1);
    assert!(!format!("{tally:?}").contains("777"), "{tally:?}");
}
