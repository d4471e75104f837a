//! The client's side of a recognition in one shot: evaluation keys, queries and answers.

use rand::CryptoRng;
use sphinx_evaluation_keys::{
    ANSWER_BODY_WIDTH, ANSWER_MASK_WIDTH, Answer, EvaluationKeyError, EvaluationKeys, Gadget,
    LookupKeys, OneShotProfile, PackingKey, Parameters, QUERY_WIDTH, Query, QueryLayout,
    logit_coefficient,
};
use sphinx_linalg::{POLYNOMIAL_SIZE, SEED_BYTES, Seed, pack, unpack};
use tfhe::core_crypto::commons::generators::DeterministicSeeder;
use tfhe::core_crypto::commons::math::random::Seed as TfheSeed;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, DefaultRandomGenerator, GlweCiphertextCount, GlweSecretKey, GlweSize,
    LweSecretKey, PlaintextList, PolynomialSize, SeededLweBootstrapKeyOwned,
    SeededLweKeyswitchKeyOwned, TUniform, allocate_and_generate_new_seeded_lwe_keyswitch_key,
    encrypt_seeded_glwe_ciphertext_list, par_allocate_and_generate_new_seeded_lwe_bootstrap_key,
};
use zeroize::Zeroizing;

use crate::encrypt::Scratch;
use crate::key::SecretKey;

/// Why a query or an answer cannot be used.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum OneShotError {
    /// The input has another number of scalars than the network takes.
    #[error("{got} scalars of input, the network takes {expected}")]
    Input {
        /// Scalars given.
        got: usize,
        /// Scalars expected.
        expected: usize,
    },
    /// An answer has another size than a ciphertext with that many logits.
    #[error(
        "an answer with {mask} bytes of mask and {bodies} bytes of logits, expected {expected_mask} and {expected_bodies}"
    )]
    Answer {
        /// Bytes of mask.
        mask: usize,
        /// Bytes of logits.
        bodies: usize,
        /// Bytes of mask expected.
        expected_mask: usize,
        /// Bytes of logits expected.
        expected_bodies: usize,
    },
    /// An answer that is not packed has another size than a sample per output.
    #[error(
        "an answer with {masks} bytes of masks and {bodies} of bodies, expected 8192 and 4 for each of {outputs} outputs"
    )]
    Samples {
        /// Bytes of masks.
        masks: usize,
        /// Bytes of bodies.
        bodies: usize,
        /// Outputs of the network.
        outputs: usize,
    },
    /// The scale of an answer makes no sense.
    #[error("an answer whose logits have {got} integers per unit, expected a positive number")]
    Scale {
        /// The scale found.
        got: f64,
    },
}

type Generator = DeterministicSeeder<DefaultRandomGenerator>;

impl SecretKey {
    /// Fresh evaluation keys of a profile: about 0.6 s on two cores, on the global pool; some
    /// milliseconds for those that only pack.
    ///
    /// They encrypt this key, its images under automorphisms and a fresh small key, each under this
    /// or the small key: that this reveals nothing is the usual assumption of circular security.
    /// The small key is wiped; nothing needs it later, and new evaluation keys have a new one.
    ///
    /// # Errors
    /// A [`EvaluationKeyError`] would be a fault of this library.
    pub fn evaluation_keys(
        &self,
        profile: OneShotProfile,
        rng: &mut impl CryptoRng,
    ) -> Result<EvaluationKeys, EvaluationKeyError> {
        let parameters = profile.parameters();
        let large = self.words();
        let mut seeder = Generator::new(TfheSeed(u128::from_le_bytes(random(rng))));
        let lookup = profile.bootstraps().then(|| {
            let mut small = Zeroizing::new(vec![0u32; parameters.small_dimension]);
            small.iter_mut().for_each(|bit| *bit = rng.next_u32() & 1);
            LookupKeys {
                bootstrapping: self.bootstrapping(&parameters, &large, &small, &mut seeder),
                key_switching: key_switching(&parameters, &large, &small, &mut seeder),
            }
        });
        let mask_seed = TfheSeed(u128::from_le_bytes(random(rng)));
        let packing = packing(&parameters, &large, mask_seed, &mut seeder);
        EvaluationKeys::new(lookup, packing)
    }

    /// Encrypts the input of a network's first stage.
    ///
    /// # Errors
    /// [`OneShotError::Input`] if it has another length than the layout.
    pub fn encrypt_query(
        &self,
        layout: &QueryLayout,
        input: &[f32],
        rng: &mut impl CryptoRng,
    ) -> Result<Query, OneShotError> {
        let (got, expected) = (input.len(), layout.scalars());
        if got != expected {
            return Err(OneShotError::Input { got, expected });
        }
        let words = Zeroizing::new(layout.encode(input));
        let mut message = Zeroizing::new(vec![0u64; POLYNOMIAL_SIZE]);
        let mut scratch = Scratch::default();
        let mut bodies = vec![0; layout.body_bytes()];
        let mut seeds = Vec::with_capacity(layout.ciphertexts());
        let share = layout.share();
        let out = bodies.chunks_mut(share * QUERY_WIDTH.bytes());
        for (words, out) in words.chunks(share).zip(out) {
            let seed: [u8; SEED_BYTES] = random(rng);
            let noise_key = Zeroizing::new(random(rng));
            message.fill(0);
            message[..words.len()].copy_from_slice(words);
            let body = self.encrypt_row(&message[..], Seed(seed), &noise_key, &mut scratch);
            pack(&body[..words.len()], QUERY_WIDTH, out);
            seeds.push(seed);
        }
        Ok(Query { seeds, bodies })
    }

    /// Decrypts the logits of a network with `classes` of them.
    ///
    /// # Errors
    /// [`OneShotError::Answer`] or [`OneShotError::Scale`] if the answer is malformed.
    pub fn decrypt_answer(
        &self,
        answer: &Answer,
        classes: usize,
    ) -> Result<Vec<f64>, OneShotError> {
        let expected_mask = POLYNOMIAL_SIZE * ANSWER_MASK_WIDTH.bytes();
        let expected_bodies = classes.saturating_mul(ANSWER_BODY_WIDTH.bytes());
        let (mask, bodies) = (answer.mask.len(), answer.bodies.len());
        if (mask, bodies) != (expected_mask, expected_bodies) || classes > POLYNOMIAL_SIZE {
            return Err(OneShotError::Answer { mask, bodies, expected_mask, expected_bodies });
        }
        if !(answer.scale.is_finite() && answer.scale > 0.0) {
            return Err(OneShotError::Scale { got: answer.scale });
        }
        let mut mask = vec![0u64; POLYNOMIAL_SIZE];
        unpack(&answer.mask, ANSWER_MASK_WIDTH, &mut mask);
        let mut logits = vec![0u64; classes];
        unpack(&answer.bodies, ANSWER_BODY_WIDTH, &mut logits);
        let mut phase = Zeroizing::new(vec![0u64; POLYNOMIAL_SIZE]);
        let place = |class| logit_coefficient(class, classes);
        logits.iter().enumerate().for_each(|(class, &word)| phase[place(class)] = word);
        self.decrypt_words(&mask, &mut phase[..], &mut Zeroizing::new(vec![0; POLYNOMIAL_SIZE]));
        Ok((0..classes)
            .map(|class| phase[place(class)].cast_signed() as f64 / answer.scale)
            .collect())
    }

    fn bootstrapping(
        &self,
        parameters: &Parameters,
        large: &[u64],
        small: &[u32],
        seeder: &mut Generator,
    ) -> SeededLweBootstrapKeyOwned<u64> {
        let gadget = parameters.bootstrapping;
        par_allocate_and_generate_new_seeded_lwe_bootstrap_key(
            &LweSecretKey::from_container(small),
            &GlweSecretKey::from_container(large, PolynomialSize(POLYNOMIAL_SIZE)),
            gadget.base(),
            gadget.level_count(),
            TUniform::<u64>::new(parameters.large_noise_bound_log2()),
            CiphertextModulus::new_native(),
            seeder,
        )
    }
}

fn key_switching(
    parameters: &Parameters,
    large: &[u64],
    small: &[u32],
    seeder: &mut Generator,
) -> SeededLweKeyswitchKeyOwned<u32> {
    let gadget = parameters.key_switching;
    allocate_and_generate_new_seeded_lwe_keyswitch_key(
        &LweSecretKey::from_container(large),
        &LweSecretKey::from_container(small),
        gadget.base(),
        gadget.level_count(),
        TUniform::<u32>::new(parameters.small_noise_bound_log2()),
        CiphertextModulus::new_native(),
        seeder,
    )
}

/// For X → X^(2^i + 1), i = 1 to log2 N, and for levels from the last to the first: the key's image
/// over B^level.
fn packing(
    parameters: &Parameters,
    large: &[u64],
    mask_seed: TfheSeed,
    seeder: &mut Generator,
) -> PackingKey {
    let Gadget { base_log2, levels } = parameters.packing;
    let count = parameters.automorphisms() * levels;
    let mut messages = Zeroizing::new(Vec::with_capacity(count * POLYNOMIAL_SIZE));
    for index in 1..=parameters.automorphisms() {
        let exponent = (1usize << index) + 1;
        let mut image = Zeroizing::new(vec![0u64; POLYNOMIAL_SIZE]);
        for (place, &bit) in large.iter().enumerate() {
            let target = place * exponent % (2 * POLYNOMIAL_SIZE);
            let bit = if target < POLYNOMIAL_SIZE { bit } else { bit.wrapping_neg() };
            image[target % POLYNOMIAL_SIZE] = bit;
        }
        for level in (1..=levels).rev() {
            let shift = u64::BITS as usize - level * base_log2;
            messages.extend(image.iter().map(|bit| bit << shift));
        }
    }
    let size = PolynomialSize(POLYNOMIAL_SIZE);
    let native = CiphertextModulus::new_native();
    let ciphertexts = GlweCiphertextCount(count);
    let mut key = PackingKey::new(0, GlweSize(2), size, ciphertexts, mask_seed.into(), native);
    encrypt_seeded_glwe_ciphertext_list(
        &GlweSecretKey::from_container(large, size),
        &mut key,
        &PlaintextList::from_container(&messages[..]),
        TUniform::<u64>::new(parameters.large_noise_bound_log2()),
        seeder,
    );
    key
}

fn random(rng: &mut impl CryptoRng) -> [u8; 16] {
    let mut bytes = [0; 16];
    rng.fill_bytes(&mut bytes);
    bytes
}
