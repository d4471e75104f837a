//! By what a home knows the units of privacy of a data set: digests under a secret key.

use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};
use zeroize::Zeroizing;

use crate::ledger::{Digest, PrivacyUnit};

/// Bytes of a digest: of 2⁴⁰ images, two have the same with probability 2⁻⁴⁹.
const BYTES: usize = 16;
/// Bytes that HMAC-SHA-256 takes as a key; shorter keys are padded with zeros.
const BLOCK: usize = 64;

/// A keyed digest of one image, or of the name of one person.
pub(crate) type UnitDigest = [u8; BYTES];

/// Makes digests under the secret of a home. Without the secret nobody can tell whether an image
/// that he has is among them.
pub struct Digester(Hmac<Sha256>);

impl Digester {
    pub(super) fn new(secret: &[u8; 32]) -> Self {
        let mut key = Zeroizing::new([0; BLOCK]);
        key[..secret.len()].copy_from_slice(secret);
        Self(Hmac::new(&(*key).into()))
    }

    /// Images by a hash of each: of its decoded pixels before anything is done to them.
    pub fn images(&self, origins: impl IntoIterator<Item = [u8; 32]>) -> Units {
        let digest = |origin: [u8; 32]| self.digest(&[b"image", &origin]);
        let mut images: Vec<UnitDigest> = origins.into_iter().map(digest).collect();
        images.sort_unstable();
        Units { unit: PrivacyUnit::Example, images, persons: Vec::new() }
    }

    /// The same images, where the units are the persons that they belong to.
    pub fn persons<'a>(&self, images: Units, persons: impl IntoIterator<Item = &'a str>) -> Units {
        let digest = |name: &str| self.digest(&[b"person", name.as_bytes()]);
        let mut persons: Vec<UnitDigest> = persons.into_iter().map(digest).collect();
        persons.sort_unstable();
        persons.dedup();
        Units { unit: PrivacyUnit::Person, persons, ..images }
    }

    fn digest(&self, parts: &[&[u8]]) -> UnitDigest {
        let mut mac = self.0.clone();
        parts.iter().for_each(|part| mac.update(part));
        let full: [u8; 32] = mac.finalize().into_bytes().into();
        std::array::from_fn(|index| full[index])
    }
}

impl fmt::Debug for Digester {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digester(..)")
    }
}

/// The units of a data set. `Debug` shows numbers only.
#[derive(Clone, PartialEq, Eq)]
pub struct Units {
    pub(super) unit: PrivacyUnit,
    /// Sorted; an image that is there twice is here twice.
    pub(super) images: Vec<UnitDigest>,
    /// Sorted, each once; empty where the unit is an image.
    pub(super) persons: Vec<UnitDigest>,
}

impl Units {
    /// Number of images.
    pub fn images(&self) -> usize {
        self.images.len()
    }

    /// What is protected, sorted.
    pub(super) fn protected(&self) -> &[UnitDigest] {
        match self.unit {
            PrivacyUnit::Example => &self.images,
            PrivacyUnit::Person => &self.persons,
        }
    }

    /// How many images of `other` are not here.
    pub(super) fn lacks(&self, other: &Self) -> usize {
        let mut rest = self.images.iter().peekable();
        let missing = |image: &&UnitDigest| {
            while rest.next_if(|next| next < image).is_some() {}
            rest.next_if(|next| next == image).is_none()
        };
        other.images.iter().filter(missing).count()
    }

    /// A digest of all of them, of which an unnamed set is named.
    pub(super) fn fingerprint(&self) -> Digest {
        let mut hash = Sha256::new();
        self.images.iter().chain(&self.persons).for_each(|digest| hash.update(digest));
        Digest(hash.finalize().into())
    }

    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let unit = match self.unit {
            PrivacyUnit::Example => 0,
            PrivacyUnit::Person => 1,
        };
        let mut bytes = vec![unit];
        bytes.extend((self.images.len() as u64).to_le_bytes());
        bytes.extend(self.images.iter().chain(&self.persons).flatten());
        bytes
    }

    /// `None` for bytes that hold no units.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (unit, bytes) = bytes.split_first()?;
        let unit = match unit {
            0 => PrivacyUnit::Example,
            1 => PrivacyUnit::Person,
            _ => return None,
        };
        let (count, bytes) = bytes.split_first_chunk::<8>()?;
        let (digests, []) = bytes.as_chunks::<BYTES>() else { return None };
        let count = usize::try_from(u64::from_le_bytes(*count)).ok()?;
        let (images, persons) = digests.split_at_checked(count)?;
        Some(Self { unit, images: images.to_vec(), persons: persons.to_vec() })
    }
}

impl fmt::Debug for Units {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Units({:?}, {} images)", self.unit, self.images.len())
    }
}

/// Occurrences of each of `units`, which are sorted, in `list`, sorted too.
pub(super) fn occurrences(units: &[UnitDigest], list: &[UnitDigest]) -> Vec<u32> {
    let mut rest = list.iter().peekable();
    let count = |unit: &UnitDigest| {
        while rest.next_if(|next| *next < unit).is_some() {}
        let mut count = 0;
        while rest.next_if(|next| *next == unit).is_some() {
            count += 1;
        }
        count
    };
    units.iter().map(count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digester(secret: u8) -> Digester {
        Digester::new(&[secret; 32])
    }

    #[test]
    fn digests_depend_on_the_secret_and_the_image() {
        let of = |digester: &Digester, image: u8| digester.images([[image; 32]]).images[0];
        let all = [of(&digester(1), 1), of(&digester(2), 1), of(&digester(1), 2)];
        for (index, digest) in all.iter().enumerate() {
            assert!(all[..index].iter().all(|other| other != digest));
        }
        assert_eq!(all[0], of(&digester(1), 1));
    }

    #[test]
    fn sets_are_the_same_in_any_order_and_survive_their_bytes() {
        let digester = digester(1);
        let set = |levels: &[[u8; 1]]| digester.images(levels.iter().map(|[level]| [*level; 32]));
        let units = set(&[[1], [2], [2], [3]]);
        assert_eq!(units, set(&[[3], [2], [1], [2]]));
        let persons = digester.persons(units.clone(), ["b", "a", "b", "b"]);
        assert_eq!((persons.protected().len(), persons.images()), (2, 4));
        for units in [&units, &persons] {
            assert_eq!(Units::from_bytes(&units.to_bytes()).as_ref(), Some(units));
        }
        assert!(Units::from_bytes(&units.to_bytes()[..30]).is_none());
        // Twice is more than once.
        let less = set(&[[1], [2], [3]]);
        assert_eq!((units.lacks(&less), less.lacks(&units)), (0, 1));
        assert_eq!(set(&[[2], [9]]).lacks(&units), 3);
        let two = set(&[[2]]);
        assert_eq!(occurrences(two.protected(), units.protected()), [2]);
        assert_eq!(format!("{units:?}"), "Units(Example, 4 images)");
    }
}
