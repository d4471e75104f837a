//! What a ledger holds, and the hash chain that binds it together.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::accountant::{Accountant, AccountingError, Segment};
use crate::quantity::{Delta, NoiseMultiplier, SamplingRate};

/// Layout of the records; other versions are refused.
pub(crate) const FORMAT: u32 = 1;

/// A SHA-256 digest, written in hexadecimal.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// First link of a chain.
    pub(crate) fn genesis(binding: &[u8]) -> Self {
        Self(
            Sha256::new()
                .chain_update(b"sphinx privacy ledger")
                .chain_update(binding)
                .finalize()
                .into(),
        )
    }

    /// Next link of a chain: binds a record, byte for byte, to everything before it.
    pub(crate) fn link(self, record: &[u8]) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(record).finalize().into())
    }
}

impl TryFrom<&[u8]> for Digest {
    type Error = std::array::TryFromSliceError;

    fn try_from(bytes: &[u8]) -> Result<Self, Self::Error> {
        Ok(Self(bytes.try_into()?))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refuse = || format!("{text:?} is not 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse());
        }
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| refuse())?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| refuse())?;
        }
        Ok(Self(digest))
    }
}

/// What one unit of privacy is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyUnit {
    /// One example, or nothing in its place: the number of examples is public (zero-out).
    Example,
    /// One person with all that belongs to him, or nothing in its place: the number of persons is
    /// public.
    Person,
}

/// What a ledger belongs to. It never changes, and every record's hash depends on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// Id of the model whose training spends the budget.
    pub model: String,
    /// Examples of the training set.
    pub examples: u64,
    /// δ at which ε is stated.
    pub delta: Delta,
    /// What is protected.
    pub unit: PrivacyUnit,
}

/// What one step spends.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Charge {
    /// Poisson-subsampled Gaussian mechanism on all gradients.
    Gaussian {
        /// Probability of each example to enter the batch.
        sampling_rate: SamplingRate,
        /// Standard deviation of the noise over the sensitivity.
        noise_multiplier: NoiseMultiplier,
        /// Bound on one example's gradient.
        clipping_norm: f64,
        /// Probability that the batch overflowed its blocks.
        overflow_probability: f64,
    },
    /// Some gradient left without noise: no ε holds for the model any more.
    Unproven,
    /// Nothing: the update was computed from what earlier ones released. It is recorded because it
    /// moves the model's version on, and so that a retry sends the identical bytes.
    PostProcessing,
}

impl Charge {
    /// One step of a segment, with the clipping norm for the record.
    pub fn gaussian(segment: &Segment, clipping_norm: f64) -> Self {
        let &Segment { sampling_rate, noise_multiplier, overflow_probability, .. } = segment;
        Self::Gaussian { sampling_rate, noise_multiplier, clipping_norm, overflow_probability }
    }

    /// The step as the accountant knows it, where it is proven and spends something.
    pub(crate) fn segment(&self, steps: u64) -> Option<Segment> {
        match *self {
            Charge::Gaussian { sampling_rate, noise_multiplier, overflow_probability, .. } => {
                Some(Segment { sampling_rate, noise_multiplier, steps, overflow_probability })
            }
            Charge::Unproven | Charge::PostProcessing => None,
        }
    }

    /// Adds `steps` such steps to what an accountant knows. Trainings follow one another: each may
    /// have been chosen after those before had been seen.
    pub(crate) fn compose(
        &self,
        steps: u64,
        accountant: &mut Accountant,
    ) -> Result<(), AccountingError> {
        match *self {
            Charge::Gaussian { sampling_rate, noise_multiplier, overflow_probability, .. } => {
                accountant.compose_chosen(&Segment {
                    sampling_rate,
                    noise_multiplier,
                    steps,
                    overflow_probability,
                })
            }
            Charge::Unproven => {
                accountant.compose_unproven(steps);
                Ok(())
            }
            Charge::PostProcessing => Ok(()),
        }
    }
}

/// A step about to be released.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Training session the update is sent in.
    pub session: String,
    /// Version of the model that the update was computed on; 0 for a new one.
    pub step: u64,
    /// What it spends.
    pub charge: Charge,
    /// The hash chain of the model that the update leads to; absent in ledgers of earlier releases.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chain: Option<Digest>,
}

/// Which model a ledger is of. Noted when the model is made, and the same for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// The chain at version 0: it binds name, incarnation, network and initial weights.
    pub first_chain: Digest,
    /// Of the network with its bias bound, which decides about scales.
    pub network: Digest,
}

/// An entry as it is stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// The step.
    pub entry: Entry,
    /// Digest of the exact bytes that are sent.
    pub update: Digest,
    /// Hash of the chain before this record.
    pub previous: Digest,
}

/// Consecutive steps that spent alike.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// What each step spent.
    pub charge: Charge,
    /// How many.
    pub steps: u64,
}

/// State of a ledger, for comparison with the server's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Updates recorded, abandoned ones included: all of them are spent.
    pub records: u64,
    /// The version the model reaches when the last recorded update that is not abandoned is
    /// committed.
    pub version: u64,
    /// Hash of the chain.
    pub hash: Digest,
}
