//! Evaluation keys: what a client uploads so that a server can pack and bootstrap for it.

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

/// The keys that look activations up.
#[derive(Clone, PartialEq, Eq)]
pub struct LookupKeys {
    /// Bits of the small key, each encrypted under the large one.
    pub bootstrapping: SeededLweBootstrapKeyOwned<u64>,
    /// The large key, encrypted under the small one.
    pub key_switching: SeededLweKeyswitchKeyOwned<u32>,
}

/// The public keys that a one-shot recognition needs, seeded: bodies, and the seeds of the masks.
///
/// All parts have been checked against the profile. The types are tfhe's, which cannot hold a
/// secret key in their place.
#[derive(Clone, PartialEq, Eq)]
pub struct EvaluationKeys {
    lookup: Option<LookupKeys>,
    packing: PackingKey,
}

impl EvaluationKeys {
    /// Keys from their parts, of the profile `standard` with keys for lookups and `packing`
    /// without. Words of the bootstrapping key are rounded to their top 48 bits, as they are sent.
    ///
    /// # Errors
    /// [`EvaluationKeyError::Shape`] naming the part that does not fit the profile.
    pub fn new(
        mut lookup: Option<LookupKeys>,
        packing: PackingKey,
    ) -> Result<Self, EvaluationKeyError> {
        let parameters = OneShotProfile::default().parameters();
        if let Some(LookupKeys { bootstrapping, key_switching }) = &mut lookup {
            check_bootstrapping(&parameters, bootstrapping)?;
            check_key_switching(&parameters, key_switching)?;
            let dropped = u64::BITS - Parameters::BOOTSTRAPPING_KEY_BITS as u32;
            let half = 1u64 << (dropped - 1);
            let words = bootstrapping.as_mut().iter_mut();
            words.for_each(|word| *word = (word.wrapping_add(half) >> dropped) << dropped);
        }
        check_packing(&parameters, &packing)?;
        Ok(Self { lookup, packing })
    }

    /// The profile that the keys were made for.
    pub fn profile(&self) -> OneShotProfile {
        match self.lookup {
            Some(_) => OneShotProfile::Standard,
            None => OneShotProfile::Packing,
        }
    }

    /// The keys that look activations up; none in the profile `packing`.
    pub fn lookup(&self) -> Option<&LookupKeys> {
        self.lookup.as_ref()
    }

    /// Images of the large key under automorphisms, encrypted under itself.
    pub fn packing(&self) -> &PackingKey {
        &self.packing
    }
}

impl std::fmt::Debug for EvaluationKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let profile = self.profile();
        f.debug_struct("EvaluationKeys").field("profile", &profile).finish_non_exhaustive()
    }
}
