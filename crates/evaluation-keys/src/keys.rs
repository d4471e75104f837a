//! Evaluation keys: what a client uploads so that a server can bootstrap for it.

mod check;
mod error;
mod header;
mod stored;

pub use error::EvaluationKeyError;
pub use stored::MAX_KEY_BYTES;

use tfhe::core_crypto::prelude::{
    SeededGlweCiphertextListOwned, SeededLweBootstrapKeyOwned, SeededLweKeyswitchKeyOwned,
};

use crate::parameters::{OneShotProfile, Parameters};
use check::{check_bootstrapping, check_key_switching, check_packing};

/// The automorphism keys of packing: for each of X → X^(2^i + 1), i = 1 to log2 N, one ciphertext
/// per level (the last level first) of the key under that automorphism.
pub type PackingKey = SeededGlweCiphertextListOwned<u64>;

/// The public keys that a one-shot recognition needs, seeded: bodies, and the seeds of the masks.
///
/// All parts have been checked against the profile. The types are tfhe's, which cannot hold a
/// secret key in their place.
#[derive(Clone, PartialEq, Eq)]
pub struct EvaluationKeys {
    profile: OneShotProfile,
    bootstrapping: SeededLweBootstrapKeyOwned<u64>,
    key_switching: SeededLweKeyswitchKeyOwned<u32>,
    packing: PackingKey,
}

impl EvaluationKeys {
    /// Keys from their parts. Words of the bootstrapping key are rounded to their top 48 bits, as
    /// they are sent.
    ///
    /// # Errors
    /// [`EvaluationKeyError::Shape`] naming the part that does not fit the profile.
    pub fn new(
        profile: OneShotProfile,
        mut bootstrapping: SeededLweBootstrapKeyOwned<u64>,
        key_switching: SeededLweKeyswitchKeyOwned<u32>,
        packing: PackingKey,
    ) -> Result<Self, EvaluationKeyError> {
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
