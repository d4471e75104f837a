//! What can be wrong with persons as units of privacy.

/// Why persons cannot be the units of privacy of a training.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PersonsError {
    /// An image belongs to nobody.
    #[error(
        "image {index} belongs to nobody: every image needs the name of a person, as its guarantee is that person's"
    )]
    Blank {
        /// Number of the first such image, from 0.
        index: usize,
    },
    /// The data set says of no image whose it is.
    #[error(
        "the data set names nobody: a CSV list with the column person does, folders of persons in those of the classes \
         (CLASS/PERSON/*) do, or a file with one line per training image (--persons)"
    )]
    Unnamed,
    /// No image of a person would be shown, or more than a block has room for.
    #[error("{got} images per person and step are not in 1 to {most}")]
    MostImages {
        /// The number asked for.
        got: usize,
        /// The most.
        most: usize,
    },
    /// There is not one person for each image.
    #[error("persons were named for {got} images, the data set has {expected}")]
    Count {
        /// Images that somebody was named for.
        got: usize,
        /// Images of the data set.
        expected: usize,
    },
    /// Copies of images and persons both take slots.
    #[error(
        "images cannot be shown in copies where persons are the units: leave one of the two out"
    )]
    Copies,
}
