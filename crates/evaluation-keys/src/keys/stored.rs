//! The serialised form: tfhe's versioned containers under a header with the type's name.
//!
//! A bootstrapping key in tfhe's own seeded form takes 8 bytes per word, 24.9 MB. Its noise has a
//! deviation of 2^16.2, so the low 16 bits of its words are rounded away and the rest is packed
//! ([`PackedIntegers`], 18.7 MB).

use serde::{Deserialize, Serialize};
use tfhe::core_crypto::commons::math::random::CompressionSeed;
use tfhe::core_crypto::entities::packed_integers::PackedIntegers;
use tfhe::core_crypto::prelude::{
    CiphertextModulus, CiphertextModulusLog, DecompositionBaseLog, DecompositionLevelCount,
    GlweSize, PolynomialSize, SeededLweBootstrapKeyOwned, SeededLweKeyswitchKeyOwned,
};
use tfhe::safe_serialization::{safe_deserialize, safe_serialize};
use tfhe_versionable::{Upgrade, Version, Versionize, VersionsDispatch};

use super::check::{Check, bootstrapping_words};
use super::header::TYPE_NAME;
use super::{EvaluationKeyError, EvaluationKeys, LookupKeys, PackingKey};
use crate::parameters::{OneShotProfile, Parameters};

/// Most bytes of serialised keys that are read or written.
pub const MAX_KEY_BYTES: usize = 20_000_000;

/// Evaluation keys as serialised.
#[derive(Serialize, Deserialize, Versionize)]
#[versionize(StoredKeysVersions)]
pub struct StoredKeys {
    profile: String,
    lookup: Option<StoredLookupKeys>,
    packing: PackingKey,
}

/// The keys of lookups as serialised.
#[derive(Serialize, Deserialize, Versionize)]
#[versionize(StoredLookupKeysVersions)]
pub struct StoredLookupKeys {
    bootstrapping: StoredBootstrappingKey,
    key_switching: SeededLweKeyswitchKeyOwned<u32>,
}

/// Versions of [`StoredLookupKeys`].
#[allow(dead_code, reason = "named by the derived code alone")]
#[derive(VersionsDispatch)]
pub enum StoredLookupKeysVersions {
    /// The first.
    V0(StoredLookupKeys),
}

/// Evaluation keys as they were serialised while all had keys of lookups.
#[derive(Version)]
pub struct StoredKeysV0 {
    profile: String,
    bootstrapping: StoredBootstrappingKey,
    key_switching: SeededLweKeyswitchKeyOwned<u32>,
    packing: PackingKey,
}

impl Upgrade<StoredKeys> for StoredKeysV0 {
    type Error = std::convert::Infallible;

    fn upgrade(self) -> Result<StoredKeys, Self::Error> {
        let Self { profile, bootstrapping, key_switching, packing } = self;
        let lookup = Some(StoredLookupKeys { bootstrapping, key_switching });
        Ok(StoredKeys { profile, lookup, packing })
    }
}

/// Versions of [`StoredKeys`].
#[allow(dead_code, reason = "named by the derived code alone")]
#[derive(VersionsDispatch)]
pub enum StoredKeysVersions {
    /// The first.
    V0(StoredKeysV0),
    /// With keys of lookups or without.
    V1(StoredKeys),
}

impl tfhe::named::Named for StoredKeys {
    const NAME: &'static str = TYPE_NAME;
}

/// A seeded bootstrapping key, its words packed.
#[derive(Serialize, Deserialize, Versionize)]
#[versionize(StoredBootstrappingKeyVersions)]
pub struct StoredBootstrappingKey {
    words: PackedIntegers<u64>,
    glwe_size: GlweSize,
    polynomial_size: PolynomialSize,
    base_log: DecompositionBaseLog,
    level_count: DecompositionLevelCount,
    seed: CompressionSeed,
    modulus: CiphertextModulus<u64>,
}

/// Versions of [`StoredBootstrappingKey`].
#[allow(dead_code, reason = "named by the derived code alone")]
#[derive(VersionsDispatch)]
pub enum StoredBootstrappingKeyVersions {
    /// The first.
    V0(StoredBootstrappingKey),
}

impl EvaluationKeys {
    /// The serialised keys.
    ///
    /// # Errors
    /// [`EvaluationKeyError::Serialise`] only.
    pub fn to_bytes(&self) -> Result<Vec<u8>, EvaluationKeyError> {
        let lookup = self.lookup.as_ref().map(|keys| StoredLookupKeys {
            bootstrapping: StoredBootstrappingKey::pack(&keys.bootstrapping),
            key_switching: keys.key_switching.clone(),
        });
        let profile = self.profile().name().to_owned();
        let stored = StoredKeys { profile, lookup, packing: self.packing.clone() };
        let mut bytes = Vec::new();
        safe_serialize(&stored, &mut bytes, MAX_KEY_BYTES as u64)
            .map_err(|error| EvaluationKeyError::Serialise { reason: error.to_string() })?;
        Ok(bytes)
    }

    /// Reads [`EvaluationKeys::to_bytes`] and checks every part against the profile that the keys
    /// name.
    ///
    /// # Errors
    /// [`EvaluationKeyError`]; nothing larger than the bytes at hand is allocated before they have
    /// been checked.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, EvaluationKeyError> {
        if bytes.len() > MAX_KEY_BYTES {
            return Err(EvaluationKeyError::TooLong { got: bytes.len(), limit: MAX_KEY_BYTES });
        }
        let mut rest = bytes;
        let stored: StoredKeys = safe_deserialize(&mut rest, bytes.len() as u64)
            .map_err(|reason| EvaluationKeyError::Format { reason })?;
        if !rest.is_empty() {
            return Err(EvaluationKeyError::Trailing { got: rest.len() });
        }
        let profile = OneShotProfile::from_name(&stored.profile).ok_or_else(|| {
            EvaluationKeyError::Profile { got: stored.profile.chars().take(64).collect() }
        })?;
        if profile.bootstraps() != stored.lookup.is_some() {
            return Err(EvaluationKeyError::Parts { profile: profile.name() });
        }
        let unpack = |keys: StoredLookupKeys| {
            let bootstrapping = keys.bootstrapping.unpack(&profile.parameters())?;
            Ok(LookupKeys { bootstrapping, key_switching: keys.key_switching })
        };
        Self::new(stored.lookup.map(unpack).transpose()?, stored.packing)
    }
}

impl StoredBootstrappingKey {
    fn pack(key: &SeededLweBootstrapKeyOwned<u64>) -> Self {
        let bits = Parameters::BOOTSTRAPPING_KEY_BITS;
        let shift = u64::BITS as usize - bits;
        let top: Vec<u64> = key.as_ref().iter().map(|word| word >> shift).collect();
        Self {
            words: PackedIntegers::pack(&top, CiphertextModulusLog(bits)),
            glwe_size: key.glwe_size(),
            polynomial_size: key.polynomial_size(),
            base_log: key.decomposition_base_log(),
            level_count: key.decomposition_level_count(),
            seed: key.compression_seed(),
            modulus: key.ciphertext_modulus(),
        }
    }

    /// The key in tfhe's form. Sizes are checked first: tfhe asserts what it is handed.
    fn unpack(
        self,
        parameters: &Parameters,
    ) -> Result<SeededLweBootstrapKeyOwned<u64>, EvaluationKeyError> {
        let check = Check("bootstrapping key");
        let bits = Parameters::BOOTSTRAPPING_KEY_BITS;
        let words = bootstrapping_words(parameters);
        check.equal("bits per word", self.words.log_modulus().0, bits)?;
        check.equal("words", self.words.initial_len(), words)?;
        let packed = (words * bits).div_ceil(u64::BITS as usize);
        check.equal("packed words", self.words.packed_coeffs().len(), packed)?;
        check.equal("GLWE dimension plus one", self.glwe_size.0, 2)?;
        check.equal("polynomial size", self.polynomial_size.0, sphinx_linalg::POLYNOMIAL_SIZE)?;
        check.equal("levels", self.level_count.0, parameters.bootstrapping.levels)?;
        check.native("modulus", self.modulus.is_native_modulus())?;
        let shift = u64::BITS as usize - bits;
        Ok(SeededLweBootstrapKeyOwned::from_container(
            self.words.unpack::<u64>().map(|word| word << shift).collect(),
            self.glwe_size,
            self.polynomial_size,
            self.base_log,
            self.level_count,
            self.seed,
            self.modulus,
        ))
    }
}

#[cfg(test)]
mod tests {
    use tfhe::core_crypto::commons::math::random::Seed;
    use tfhe::core_crypto::prelude::{GlweCiphertextCount, LweDimension};

    use super::*;

    /// Keys as they were written while all of them could look activations up.
    #[derive(Serialize, Deserialize, Versionize)]
    #[versionize(EarlierVersions)]
    struct Earlier {
        profile: String,
        bootstrapping: StoredBootstrappingKey,
        key_switching: SeededLweKeyswitchKeyOwned<u32>,
        packing: PackingKey,
    }

    #[allow(dead_code, reason = "named by the derived code alone")]
    #[derive(VersionsDispatch)]
    enum EarlierVersions {
        V0(Earlier),
    }

    impl tfhe::named::Named for Earlier {
        const NAME: &'static str = TYPE_NAME;
    }

    #[test]
    fn keys_of_the_first_form_are_read() {
        let parameters = OneShotProfile::Standard.parameters();
        let (size, small) = (
            PolynomialSize(sphinx_linalg::POLYNOMIAL_SIZE),
            LweDimension(parameters.small_dimension),
        );
        let (bootstrapping, switching) = (parameters.bootstrapping, parameters.key_switching);
        let bootstrapping = SeededLweBootstrapKeyOwned::new(
            7u64 << 20,
            GlweSize(2),
            size,
            bootstrapping.base(),
            bootstrapping.level_count(),
            small,
            Seed(1).into(),
            CiphertextModulus::new_native(),
        );
        let key_switching = SeededLweKeyswitchKeyOwned::new(
            9u32,
            switching.base(),
            switching.level_count(),
            LweDimension(size.0),
            small,
            Seed(2).into(),
            CiphertextModulus::new_native(),
        );
        let count = GlweCiphertextCount(parameters.automorphisms() * parameters.packing.levels);
        let native = CiphertextModulus::new_native();
        let packing = PackingKey::new(11, GlweSize(2), size, count, Seed(3).into(), native);
        let earlier = Earlier {
            profile: "standard".to_owned(),
            bootstrapping: StoredBootstrappingKey::pack(&bootstrapping),
            key_switching: key_switching.clone(),
            packing: packing.clone(),
        };
        let mut bytes = Vec::new();
        safe_serialize(&earlier, &mut bytes, MAX_KEY_BYTES as u64).unwrap();
        let read = EvaluationKeys::from_bytes(&bytes).unwrap();
        let lookup = Some(LookupKeys { bootstrapping, key_switching });
        assert!(read == EvaluationKeys::new(lookup, packing).unwrap(), "other keys came back");
    }
}
