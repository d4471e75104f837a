//! Whether the parts of evaluation keys have the sizes of their profile.

use sphinx_linalg::POLYNOMIAL_SIZE;
use tfhe::core_crypto::prelude::{
    SeededGlweCiphertextListOwned, SeededLweBootstrapKeyOwned, SeededLweKeyswitchKeyOwned,
};

use crate::keys::error::EvaluationKeyError;
use crate::parameters::Parameters;

/// Words of the bodies of a bootstrapping key.
pub(super) fn bootstrapping_words(parameters: &Parameters) -> usize {
    parameters.small_dimension * parameters.bootstrapping.levels * 2 * POLYNOMIAL_SIZE
}

pub(super) fn check_bootstrapping(
    parameters: &Parameters,
    key: &SeededLweBootstrapKeyOwned<u64>,
) -> Result<(), EvaluationKeyError> {
    let check = Check("bootstrapping key");
    check.equal("GLWE dimension", key.glwe_size().to_glwe_dimension().0, 1)?;
    check.equal("polynomial size", key.polynomial_size().0, POLYNOMIAL_SIZE)?;
    let gadget = parameters.bootstrapping;
    check.equal("log2 of the base", key.decomposition_base_log().0, gadget.base_log2)?;
    check.equal("levels", key.decomposition_level_count().0, gadget.levels)?;
    check.native("modulus", key.ciphertext_modulus().is_native_modulus())?;
    check.equal("words", key.as_ref().len(), bootstrapping_words(parameters))
}

pub(super) fn check_key_switching(
    parameters: &Parameters,
    key: &SeededLweKeyswitchKeyOwned<u32>,
) -> Result<(), EvaluationKeyError> {
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

pub(super) fn check_packing(
    parameters: &Parameters,
    key: &SeededGlweCiphertextListOwned<u64>,
) -> Result<(), EvaluationKeyError> {
    let check = Check("packing key");
    check.equal("GLWE dimension", key.glwe_size().to_glwe_dimension().0, 1)?;
    check.equal("polynomial size", key.polynomial_size().0, POLYNOMIAL_SIZE)?;
    let ciphertexts = parameters.automorphisms() * parameters.packing.levels;
    check.native("modulus", key.ciphertext_modulus().is_native_modulus())?;
    check.equal("words", key.as_ref().len(), ciphertexts * POLYNOMIAL_SIZE)?;
    check.equal("ciphertexts", key.glwe_ciphertext_count().0, ciphertexts)
}

/// The checks of one part, for errors that name it.
pub(super) struct Check(pub &'static str);

impl Check {
    pub fn equal(
        &self,
        field: &'static str,
        got: usize,
        expected: usize,
    ) -> Result<(), EvaluationKeyError> {
        let Self(part) = *self;
        if got == expected {
            Ok(())
        } else {
            Err(EvaluationKeyError::Shape { part, field, got, expected })
        }
    }

    pub fn native(&self, field: &'static str, native: bool) -> Result<(), EvaluationKeyError> {
        if native { Ok(()) } else { Err(EvaluationKeyError::Modulus { part: self.0, field }) }
    }
}
