//! Encrypting, decrypting and multiplying on one thread, beside tfhe's own functions.

use std::time::Instant;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha20Rng;
use serde::Serialize;
use sphinx_linalg::{
    CipherMatrix, POLYNOMIAL_SIZE, PackedMap, ROW_WORDS, SLOTS, Width, Word, noise_bound_log2, pack,
};
use sphinx_network::{Plan, initial_parameters};
use sphinx_quantise::InferenceStage;
use sphinx_secret::SecretKey;
use tfhe::core_crypto::commons::math::random::Uniform;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, Encryptable, GlweCiphertext, GlweSecretKey, GlweSize, PlaintextCount,
    PlaintextList, PolynomialSize, SeededGlweCiphertext, TUniform, UnsignedTorus,
    decrypt_glwe_ciphertext, encrypt_seeded_glwe_ciphertext, new_seeder,
};

use crate::error::CliError;
use crate::network;

/// Ciphertexts per measurement of ours and of tfhe's.
const ROWS: usize = 256;
const TFHE_ROWS: usize = 32;
/// Of each measurement the best of so many.
const ROUNDS: usize = 5;

/// Microseconds per ciphertext of 2048 samples, and multiply-adds per second, each on one thread.
#[derive(Debug, Serialize)]
pub struct Figures {
    /// Training: seeded, modulo 2^32.
    encrypt_us: f64,
    decrypt_us: f64,
    tfhe_encrypt_us: f64,
    tfhe_decrypt_us: f64,
    /// Tickets and biases: seeded, modulo 2^64.
    encrypt64_us: f64,
    decrypt64_us: f64,
    tfhe_encrypt64_us: f64,
    tfhe_decrypt64_us: f64,
    /// 10^9 multiply-adds modulo 2^32 per second.
    gemm_gmacs: f64,
    /// 10^9 multiply-adds modulo 2^64 per second.
    gemm64_gmacs: f64,
}

pub fn measure() -> Result<Figures, CliError> {
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build();
    let thread = threads.map_err(|error| CliError::System(std::io::Error::other(error)))?;
    thread.install(|| {
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let bits: Vec<u8> = (0..POLYNOMIAL_SIZE).map(|_| (rng.next_u32() & 1) as u8).collect();
        let key = SecretKey::from_coefficients(&bits)?;
        let (encrypt_us, decrypt_us) = ours::<u32>(&key, Width::Four, &mut rng)?;
        let (encrypt64_us, decrypt64_us) = ours::<u64>(&key, Width::Six, &mut rng)?;
        let (tfhe_encrypt_us, tfhe_decrypt_us) = theirs::<u32>(&bits);
        let (tfhe_encrypt64_us, tfhe_decrypt64_us) = theirs::<u64>(&bits);
        Ok(Figures {
            encrypt_us,
            decrypt_us,
            tfhe_encrypt_us,
            tfhe_decrypt_us,
            encrypt64_us,
            decrypt64_us,
            tfhe_encrypt64_us,
            tfhe_decrypt64_us,
            gemm_gmacs: multiply_adds::<u32>(&mut rng)?,
            gemm64_gmacs: multiply_adds::<u64>(&mut rng)?,
        })
    })
}

/// Best time of one run, in microseconds per item.
fn best(items: usize, mut run: impl FnMut() -> Result<(), CliError>) -> Result<f64, CliError> {
    let mut best = f64::INFINITY;
    for _ in 0..ROUNDS {
        let started = Instant::now();
        run()?;
        best = best.min(started.elapsed().as_secs_f64() * 1e6 / items as f64);
    }
    Ok(best)
}

/// From integers to bytes for the wire, and from bytes to integers.
fn ours<W: Word>(
    key: &SecretKey,
    width: Width,
    rng: &mut ChaCha20Rng,
) -> Result<(f64, f64), CliError> {
    let messages: Vec<W> = (0..ROWS * SLOTS).map(|_| W::from_u64(rng.next_u64())).collect();
    let encrypt = best(ROWS, || {
        std::hint::black_box(key.encrypt_rows(&messages, width, rng));
        Ok(())
    })?;
    let row_bytes = SLOTS * width.bytes();
    let mut bytes = vec![0; ROWS * row_bytes];
    pack(&messages, width, &mut bytes);
    let mut phases = vec![W::default(); ROWS * SLOTS];
    let decrypt = best(ROWS, || {
        let decode = |_: usize, phase: &[W], out: &mut [W]| out.copy_from_slice(phase);
        key.decrypt_rows((&bytes, width), (&bytes, width), &mut phases, decode)
            .map_err(|error| CliError::Client(error.into()))
    })?;
    Ok((encrypt, decrypt))
}

fn theirs<W>(bits: &[u8]) -> (f64, f64)
where
    W: Word + UnsignedTorus + From<u8> + Encryptable<Uniform, TUniform<W>>,
{
    let size = PolynomialSize(POLYNOMIAL_SIZE);
    let modulus = CiphertextModulus::new_native();
    let words: Vec<W> = bits.iter().map(|&bit| <W as From<u8>>::from(bit)).collect();
    let key = GlweSecretKey::from_container(words, size);
    let noise = TUniform::<W>::new(noise_bound_log2(<W as Word>::BITS));
    let zero = <W as Default>::default();
    let message = PlaintextList::new(zero, PlaintextCount(POLYNOMIAL_SIZE));
    let mut seeder = new_seeder();
    let mut seeded =
        SeededGlweCiphertext::new(zero, GlweSize(2), size, seeder.seed().into(), modulus);
    let time = |mut run: Box<dyn FnMut() + '_>| {
        let mut best = f64::INFINITY;
        for _ in 0..ROUNDS {
            let started = Instant::now();
            (0..TFHE_ROWS).for_each(|_| run());
            best = best.min(started.elapsed().as_secs_f64() * 1e6 / TFHE_ROWS as f64);
        }
        best
    };
    let encrypt = time(Box::new(|| {
        encrypt_seeded_glwe_ciphertext(&key, &mut seeded, &message, noise, seeder.as_mut());
    }));
    let full: GlweCiphertext<Vec<W>> = seeded.clone().decompress_into_glwe_ciphertext();
    let mut phase = PlaintextList::new(zero, PlaintextCount(POLYNOMIAL_SIZE));
    let decrypt = time(Box::new(|| decrypt_glwe_ciphertext(&key, &full, &mut phase)));
    (encrypt, decrypt)
}

/// The second convolution of `sphinx-mnist`, most of its work: 16 × 400 weights at 64 places.
fn multiply_adds<W: Word>(rng: &mut ChaCha20Rng) -> Result<f64, CliError> {
    let spec = network::load("sphinx-mnist")?;
    let plan = Plan::new(&spec)?;
    let parameters = initial_parameters(&plan, rng);
    let failed =
        |error: &dyn std::error::Error| CliError::System(std::io::Error::other(error.to_string()));
    let quantised = InferenceStage::new(1, &plan.stages[1], &parameters[1].weights, 4.0, 11)
        .map_err(|error| failed(&error))?;
    let products = quantised.map.multiply_adds() * ROW_WORDS;
    let rows = quantised.map.inputs();
    let words: Vec<W> = (0..rows * ROW_WORDS).map(|_| W::from_u64(rng.next_u64())).collect();
    let (map, matrix) = (PackedMap::new(quantised.map), CipherMatrix::from_rows(&words, 1));
    let micros = best(1, || {
        for unit in map.units(ROW_WORDS) {
            let rows = map.evaluate(&unit, &matrix).map_err(|error| failed(&error))?;
            std::hint::black_box(rows);
        }
        Ok(())
    })?;
    Ok(products as f64 / micros / 1e3)
}
