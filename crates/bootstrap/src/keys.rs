//! Evaluation keys: what a client uploads so that a server can bootstrap for it.

mod error;
mod prepared;
mod stored;

pub use error::KeyError;
pub(crate) use prepared::FourierPackingKey;
pub use prepared::PreparedKeys;
pub use stored::MAX_KEY_BYTES;

use sphinx_linalg::POLYNOMIAL_SIZE;
use tfhe::core_crypto::prelude::{
    SeededGlweCiphertextListOwned, SeededLweBootstrapKeyOwned, SeededLweKeyswitchKeyOwned,
};

use crate::parameters::{OneShotProfile, Parameters};

/// The automorphism keys of packing: for each of X → X^(2^i + 1), i = 1 to log2 N, one ciphertext per level (the last level
/// first) of the key under that automorphism.
pub type PackingKey = SeededGlweCiphertextListOwned<u64>;

/// The public keys that a one-shot recognition needs, seeded: bodies, and the seeds of the masks.
///
/// All parts have been checked against the profile. The types are tfhe's, which cannot hold a secret key in their place.
#[derive(Clone, PartialEq, Eq)]
pub struct EvaluationKeys {
    profile: OneShotProfile,
    bootstrapping: SeededLweBootstrapKeyOwned<u64>,
    key_switching: SeededLweKeyswitchKeyOwned<u32>,
    packing: PackingKey,
}

impl EvaluationKeys {
    /// Keys from their parts. Words of the bootstrapping key are rounded to their top 48 bits, as they are sent.
    ///
    /// # Errors
    /// [`KeyError::Shape`] naming the part that does not fit the profile.
    pub fn new(
        profile: OneShotProfile,
        mut bootstrapping: SeededLweBootstrapKeyOwned<u64>,
        key_switching: SeededLweKeyswitchKeyOwned<u32>,
        packing: PackingKey,
    ) -> Result<Self, KeyError> {
        let parameters = profile.parameters();
        check_bootstrapping(&parameters, &bootstrapping)?;
        check_key_switching(&parameters, &key_switching)?;
        check_packing(&parameters, &packing)?;
        let dropped = u64::BITS - Parameters::BOOTSTRAPPING_KEY_BITS as u32;
        let half = 1u64 << (dropped - 1);
        bootstrapping
            .as_mut()
            .iter_mut()
            .for_each(|word| *word = (word.wrapping_add(half) >> dropped) << dropped);
        Ok(Self { profile, bootstrapping, key_switching, packing })
    }

    /// The profile that the keys were made for.
    pub fn profile(&self) -> OneShotProfile {
        self.profile
    }

    /// Bits of the small key, each encrypted under the large one.
    pub fn bootstrapping(&self) -> &SeededLweBootstrapKeyOwned<u64> {
        &self.bootstrapping
    }

    /// The large key, encrypted under the small one.
    pub fn key_switching(&self) -> &SeededLweKeyswitchKeyOwned<u32> {
        &self.key_switching
    }

    /// Images of the large key under automorphisms, encrypted under itself.
    pub fn packing(&self) -> &PackingKey {
        &self.packing
    }
}

impl std::fmt::Debug for EvaluationKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EvaluationKeys").field("profile", &self.profile).finish_non_exhaustive()
    }
}

/// Words of the bodies of a bootstrapping key.
fn bootstrapping_words(parameters: &Parameters) -> usize {
    parameters.small_dimension * parameters.bootstrapping.levels * 2 * POLYNOMIAL_SIZE
}

fn check_bootstrapping(
    parameters: &Parameters,
    key: &SeededLweBootstrapKeyOwned<u64>,
) -> Result<(), KeyError> {
    let check = Check("bootstrapping key");
    check.equal("GLWE dimension", key.glwe_size().to_glwe_dimension().0, 1)?;
    check.equal("polynomial size", key.polynomial_size().0, POLYNOMIAL_SIZE)?;
    let gadget = parameters.bootstrapping;
    check.equal("log2 of the base", key.decomposition_base_log().0, gadget.base_log2)?;
    check.equal("levels", key.decomposition_level_count().0, gadget.levels)?;
    check.native("modulus", key.ciphertext_modulus().is_native_modulus())?;
    check.equal("words", key.as_ref().len(), bootstrapping_words(parameters))
}

fn check_key_switching(
    parameters: &Parameters,
    key: &SeededLweKeyswitchKeyOwned<u32>,
) -> Result<(), KeyError> {
    let check = Check("key-switching key");
    let gadget = parameters.key_switching;
    check.equal("log2 of the base", key.decomposition_base_log().0, gadget.base_log2)?;
    check.equal("levels", key.decomposition_level_count().0, gadget.levels)?;
    check.equal("words", key.as_ref().len(), POLYNOMIAL_SIZE * gadget.levels)?;
    check.equal(
        "output dimension",
        key.output_key_lwe_dimension().0,
        parameters.small_dimension,
    )?;
    check.native("modulus", key.ciphertext_modulus().is_native_modulus())
}

fn check_packing(parameters: &Parameters, key: &PackingKey) -> Result<(), KeyError> {
    let check = Check("packing key");
    check.equal("GLWE dimension", key.glwe_size().to_glwe_dimension().0, 1)?;
    check.equal("polynomial size", key.polynomial_size().0, POLYNOMIAL_SIZE)?;
    let ciphertexts = parameters.automorphisms() * parameters.packing.levels;
    check.native("modulus", key.ciphertext_modulus().is_native_modulus())?;
    check.equal("words", key.as_ref().len(), ciphertexts * POLYNOMIAL_SIZE)?;
    check.equal("ciphertexts", key.glwe_ciphertext_count().0, ciphertexts)
}

/// The checks of one part, for errors that name it.
struct Check(&'static str);

impl Check {
    fn equal(&self, field: &'static str, got: usize, expected: usize) -> Result<(), KeyError> {
        let Self(part) = *self;
        if got == expected { Ok(()) } else { Err(KeyError::Shape { part, field, got, expected }) }
    }

    fn native(&self, field: &'static str, native: bool) -> Result<(), KeyError> {
        if native { Ok(()) } else { Err(KeyError::Modulus { part: self.0, field }) }
    }
}
