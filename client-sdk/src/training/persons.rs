//! Whom each image belongs to, where the unit of privacy is a person.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use rand::CryptoRng;
use sphinx_data::Dataset;

use crate::error::PersonsError;

/// The persons that the images of a data set belong to.
///
/// With it, what is drawn in a step is persons, with all that belongs to them; each that is drawn
/// takes as many slots as [`most_images`](Self::most_images) needs, however many images he has, the
/// mean gradient of his images is clipped, and the guarantee is each person's: his images, or
/// nothing in their place. The number of persons is public, that of a person's images is not.
#[derive(Clone, PartialEq, Eq)]
pub struct Persons {
    names: Vec<String>,
    /// Numbers of the images of each, increasing.
    images: Vec<Vec<usize>>,
    count: usize,
    most: usize,
}

impl Persons {
    /// Most images of one person that a step may show.
    pub const MOST_IMAGES: usize = 128;

    /// `owners` names the person of each image, in the order of the images; of a person with more
    /// than `most_images`, as many are drawn at random anew in every step.
    ///
    /// # Errors
    /// [`PersonsError::Blank`] for an image that belongs to nobody, [`PersonsError::MostImages`]
    /// for a number outside 1 to [`MOST_IMAGES`](Self::MOST_IMAGES).
    pub fn new<S: AsRef<str>>(owners: &[S], most_images: usize) -> Result<Self, PersonsError> {
        if !(1..=Self::MOST_IMAGES).contains(&most_images) {
            return Err(PersonsError::MostImages { got: most_images, most: Self::MOST_IMAGES });
        }
        let mut images: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (index, owner) in owners.iter().enumerate() {
            let owner = owner.as_ref().trim();
            if owner.is_empty() {
                return Err(PersonsError::Blank { index });
            }
            images.entry(owner).or_default().push(index);
        }
        let (names, images) =
            images.into_iter().map(|(name, images)| (name.to_owned(), images)).unzip();
        Ok(Self { names, images, count: owners.len(), most: most_images })
    }

    /// The persons that a data set names ([`Dataset::owners`]).
    ///
    /// # Errors
    /// [`PersonsError::Unnamed`] if it names nobody; otherwise as [`new`](Self::new).
    pub fn of(data: &Dataset, most_images: usize) -> Result<Self, PersonsError> {
        let persons = Self::new(data.owners(), most_images)?;
        if persons.is_empty() { Err(PersonsError::Unnamed) } else { Ok(persons) }
    }

    /// Number of persons.
    pub fn len(&self) -> usize {
        self.names.len()
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.names.is_empty()
    }

    /// Number of images that somebody was named for.
    pub fn images(&self) -> usize {
        self.count
    }

    /// Most images of one person in one step.
    pub fn most_images(&self) -> usize {
        self.most
    }

    /// The names, each once.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Slots that each person takes: a number that divides a block.
    pub(crate) fn slots(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.most.next_power_of_two()).unwrap_or(NonZeroUsize::MIN)
    }

    /// What a person shows in one step, by slot: an image, or nothing.
    ///
    /// All words are taken from the generator in any case: what one person shows does not depend
    /// on how many images another has.
    pub(crate) fn draw(&self, person: usize, rng: &mut impl CryptoRng) -> Vec<Option<usize>> {
        let mut images = self.images.get(person).cloned().unwrap_or_default();
        let shown = images.len().min(self.most);
        let draw = |slot: usize| {
            let word = rng.next_u64();
            if slot >= shown {
                return None;
            }
            // Uniform but for 2^-64 times their number.
            let left = (images.len() - slot) as u128;
            images.swap(slot, slot + ((u128::from(word) * left) >> 64) as usize);
            Some(images[slot])
        };
        (0..self.slots().get()).map(draw).collect()
    }
}

/// Numbers only: whom an image belongs to is private.
impl std::fmt::Debug for Persons {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Persons")
            .field("persons", &self.names.len())
            .field("images", &self.count)
            .field("most_images", &self.most)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha20Rng;

    use super::*;

    #[test]
    fn at_most_so_many_images_of_a_person_are_shown_and_each_as_often() {
        let owners = ["b", "a", "b", "b", " b ", "b", "c", "c"];
        let persons = Persons::new(&owners, 3).unwrap();
        assert_eq!((persons.len(), persons.images(), persons.slots().get()), (3, 8, 4));
        let mut rng = ChaCha20Rng::seed_from_u64(1);
        let mut counts = [0u32; 8];
        for _ in 0..5000 {
            let shown = persons.draw(1, &mut rng);
            assert_eq!(
                shown.iter().map(Option::is_some).collect::<Vec<_>>(),
                [true, true, true, false]
            );
            let mut shown: Vec<usize> = shown.into_iter().flatten().collect();
            shown.iter().for_each(|&image| counts[image] += 1);
            shown.sort_unstable();
            shown.dedup();
            assert_eq!(shown.len(), 3, "each once");
        }
        // 3 of 5; deviation 35.
        for image in [0, 2, 3, 4, 5] {
            assert!((2800..3200).contains(&counts[image]), "{counts:?}");
        }
        assert_eq!(persons.draw(0, &mut rng), [Some(1), None, None, None]);
        let mut few: Vec<usize> = persons.draw(2, &mut rng).into_iter().flatten().collect();
        few.sort_unstable();
        assert_eq!(few, [6, 7]);
    }

    #[test]
    fn draws_take_as_much_randomness_however_many_images_there_are() {
        let persons = Persons::new(&["a", "b", "b", "b", "b", "b"], 3).unwrap();
        let after = |person| {
            let mut rng = ChaCha20Rng::seed_from_u64(1);
            persons.draw(person, &mut rng);
            rand::Rng::next_u64(&mut rng)
        };
        assert_eq!(after(0), after(1));
    }

    #[test]
    fn rejects_images_of_nobody_and_numbers_of_images_that_make_no_sense() {
        for blank in ["", "  ", "\t"] {
            let error = Persons::new(&["a", blank, "b"], 2).unwrap_err();
            assert_eq!(error, PersonsError::Blank { index: 1 });
        }
        for got in [0, 129] {
            let error = Persons::new(&["a"], got).unwrap_err();
            assert_eq!(error, PersonsError::MostImages { got, most: 128 });
        }
    }

    #[test]
    fn debug_names_nobody() {
        let persons = Persons::new(&["alice", "bob"], 2).unwrap();
        assert_eq!(format!("{persons:?}"), "Persons { persons: 2, images: 2, most_images: 2 }");
    }
}
