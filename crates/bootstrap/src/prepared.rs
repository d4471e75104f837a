//! Keys as an evaluation reads them.

use rayon::prelude::*;
use sphinx_evaluation_keys::{EvaluationKeys, LookupKeys, OneShotProfile, PackingKey, Parameters};
use sphinx_linalg::POLYNOMIAL_SIZE;
use tfhe::core_crypto::fft_impl::fft64::c64;
use tfhe::core_crypto::fft_impl::fft64::crypto::bootstrap::{
    FourierLweBootstrapKeyOwned, FourierLweBootstrapKeyView,
};
use tfhe::core_crypto::fft_impl::fft64::math::polynomial::FourierPolynomialOwned;
use tfhe::core_crypto::prelude::{
    ComputationBuffers, Fft, LweDimension, PolynomialSize, PolynomialView,
    par_convert_standard_lwe_bootstrap_key_to_fourier,
};

use crate::error::EvaluationError;
use crate::kernel::{COLUMNS, switched_words};

/// Expanded keys: 0.7 MB to pack, and unless the profile is `packing` 94 MB to look activations up.
pub struct PreparedKeys {
    profile: OneShotProfile,
    lookup: Option<PreparedLookup>,
    packing: FourierPackingKey,
    fft: Fft,
}

/// The keys of lookups: the bootstrapping key as Fourier transforms (50 MB), the key-switching key
/// as a matrix (44 MB).
pub(crate) struct PreparedLookup {
    bootstrapping: FourierLweBootstrapKeyOwned,
    /// `[block of columns][digit of the large key][column]`.
    key_switching: Vec<u32>,
}

/// The automorphism keys of packing as Fourier transforms.
pub(crate) struct FourierPackingKey {
    /// `[automorphism][level][mask, body]`.
    polynomials: Vec<FourierPolynomialOwned>,
    levels: usize,
}

impl PreparedKeys {
    /// Expands seeds and transforms. Parallel on the current pool; about 0.3 s on two cores, and 50
    /// MB more in between than what stays.
    pub fn new(keys: &EvaluationKeys) -> Self {
        let parameters = keys.profile().parameters();
        let fft = Fft::new(PolynomialSize(POLYNOMIAL_SIZE));
        Self {
            profile: keys.profile(),
            lookup: keys.lookup().map(|keys| PreparedLookup::new(&parameters, keys)),
            packing: FourierPackingKey::new(keys.packing(), parameters.packing.levels, &fft),
            fft,
        }
    }

    /// The profile that the keys were made for.
    pub fn profile(&self) -> OneShotProfile {
        self.profile
    }

    /// Bytes that the keys occupy, for the accounts of a cache.
    pub fn bytes(&self) -> usize {
        let lookup = self.lookup.as_ref().map_or(0, PreparedLookup::bytes);
        size_of::<Self>() + lookup + self.packing.bytes()
    }

    /// The keys of lookups.
    ///
    /// # Errors
    /// [`EvaluationError::Profile`] if the profile has none.
    pub(crate) fn lookup(&self) -> Result<&PreparedLookup, EvaluationError> {
        let (got, expected) = (self.profile.name(), OneShotProfile::Standard.name());
        self.lookup.as_ref().ok_or(EvaluationError::Profile { got, expected })
    }

    pub(crate) fn packing(&self) -> &FourierPackingKey {
        &self.packing
    }

    pub(crate) fn fft(&self) -> &Fft {
        &self.fft
    }
}

impl PreparedLookup {
    fn new(parameters: &Parameters, keys: &LookupKeys) -> Self {
        let standard = keys.bootstrapping.clone().par_decompress_into_lwe_bootstrap_key();
        let gadget = parameters.bootstrapping;
        let mut bootstrapping = FourierLweBootstrapKeyOwned::new(
            LweDimension(parameters.small_dimension),
            standard.glwe_size(),
            standard.polynomial_size(),
            gadget.base(),
            gadget.level_count(),
        );
        par_convert_standard_lwe_bootstrap_key_to_fourier(&standard, &mut bootstrapping);
        drop(standard);
        Self { bootstrapping, key_switching: key_switching_blocks(parameters, keys) }
    }

    fn bytes(&self) -> usize {
        size_of_val(self.bootstrapping.as_view().data()) + size_of_val(&self.key_switching[..])
    }

    pub(crate) fn bootstrapping(&self) -> FourierLweBootstrapKeyView<'_> {
        self.bootstrapping.as_view()
    }

    pub(crate) fn key_switching(&self) -> &[u32] {
        &self.key_switching
    }
}

impl std::fmt::Debug for PreparedKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("PreparedKeys");
        shown.field("profile", &self.profile).field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

fn key_switching_blocks(parameters: &Parameters, keys: &LookupKeys) -> Vec<u32> {
    let key = keys.key_switching.clone().decompress_into_lwe_keyswitch_key();
    let row = parameters.small_dimension + 1;
    let rows = key.as_ref().len() / row;
    let mut blocks = vec![0u32; rows * switched_words(parameters)];
    blocks.par_chunks_exact_mut(rows * COLUMNS).enumerate().for_each(|(block, to)| {
        for (to, from) in to.chunks_exact_mut(COLUMNS).zip(key.as_ref().chunks_exact(row)) {
            let from = &from[block * COLUMNS..];
            to.iter_mut().zip(from).for_each(|(to, &word)| *to = word);
        }
    });
    blocks
}

impl FourierPackingKey {
    fn new(key: &PackingKey, levels: usize, fft: &Fft) -> Self {
        let fft = fft.as_view();
        let expanded = key.clone().decompress_into_glwe_ciphertext_list();
        let mut buffers = ComputationBuffers::new();
        buffers.resize(fft.forward_scratch().unaligned_bytes_required());
        let polynomials = expanded.as_ref().chunks_exact(POLYNOMIAL_SIZE).map(|words| {
            let mut fourier = FourierPolynomialOwned::new(PolynomialSize(POLYNOMIAL_SIZE));
            let words = PolynomialView::from_container(words);
            fft.forward_as_torus(fourier.as_mut_view(), words, buffers.stack());
            fourier
        });
        Self { polynomials: polynomials.collect(), levels }
    }

    /// The transforms of automorphism `index` (X → X^(2^(index + 1) + 1)), per level those of mask
    /// and body.
    pub(crate) fn levels(&self, index: usize) -> impl Iterator<Item = [&[c64]; 2]> {
        let length = 2 * self.levels;
        let levels = self.polynomials[index * length..][..length].as_chunks::<2>().0;
        levels.iter().map(|[mask, body]| [&mask.data[..], &body.data[..]])
    }

    fn bytes(&self) -> usize {
        self.polynomials.iter().map(|polynomial| size_of_val(&polynomial.data[..])).sum()
    }
}
