//! Matrices of batch-axis packed GLWE ciphertexts.

use rayon::prelude::*;

use crate::mask::{Seed, expand_mask};
use crate::parameters::{POLYNOMIAL_SIZE, SEED_BYTES};
use crate::profile::Profile;
use crate::wire::{Width, unpack};
use crate::word::Word;

/// Words of a tile's row. 64 words of one row fill whole registers, and the rows that one output
/// needs, side by side in a tile, fit the second-level cache.
pub(crate) const TILE: usize = 64;

/// A matrix of J rows, stored tile by tile. A row is one mask of N words and one or several bodies
/// of N words each under keys of their own: each (mask, body) is a ciphertext (amortised LWE,
/// Peikert, Vaikuntanathan & Waters 2008).
///
/// Tile t holds words [64t, 64t + 64) of all rows, row after row. Rows of a row-major matrix lie a
/// power of two apart and would fall on the same few cache sets; in a tile they are neighbours.
#[derive(Clone, PartialEq, Eq)]
pub struct CipherMatrix<W> {
    rows: usize,
    /// Words of a row.
    columns: usize,
    words: Vec<W>,
}

/// Why uploaded rows were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UploadError {
    /// Rows must come in order, without gaps or repeats.
    #[error("rows start at {got}, expected {expected}: send the rows in order")]
    OutOfOrder {
        /// First row of the chunk.
        got: usize,
        /// First row not yet received.
        expected: usize,
    },
    /// More rows than the matrix has.
    #[error("rows end at {got}, the matrix has {expected}")]
    TooManyRows {
        /// One past the last row of the chunk.
        got: usize,
        /// Rows of the matrix.
        expected: usize,
    },
    /// The seeds are not 16 bytes per row.
    #[error("{got} bytes of seeds, expected a positive multiple of 16")]
    SeedLength {
        /// Bytes received.
        got: usize,
    },
    /// The bodies do not have N words per row and body.
    #[error("{got} bytes of bodies for {rows} rows, expected {expected}")]
    BodyLength {
        /// Bytes received.
        got: usize,
        /// Rows announced by the seeds.
        rows: usize,
        /// Bytes expected.
        expected: usize,
    },
    /// The stream of rows ended early.
    #[error("{got} rows received, the matrix has {expected}: the chunk stream was cut short")]
    Incomplete {
        /// Rows received.
        got: usize,
        /// Rows of the matrix.
        expected: usize,
    },
}

/// A matrix that is being filled from uploaded, seeded rows.
#[derive(Debug)]
pub struct Upload<W> {
    matrix: CipherMatrix<W>,
    /// Words of a mask, and of a body.
    dimension: usize,
    bodies: usize,
    width: Width,
    /// Bits of a mask's words that count.
    kept: W,
    received: usize,
}

impl<W: Word> Upload<W> {
    /// Starts a matrix of `rows` rows with so many bodies each, which come with `width` bytes per
    /// word.
    pub fn new(rows: usize, bodies: usize, width: Width) -> Self {
        let kept = W::from_signed(-1);
        Self::with(rows, (POLYNOMIAL_SIZE, bodies), width, kept)
    }

    fn with(rows: usize, (dimension, bodies): (usize, usize), width: Width, kept: W) -> Self {
        let matrix = CipherMatrix::zero(rows, (1 + bodies) * dimension);
        Self { matrix, dimension, bodies, width, kept, received: 0 }
    }

    /// Expands the masks of the next rows and stores them with their bodies.
    ///
    /// # Errors
    /// [`UploadError`] if the chunk is out of order or has the wrong length; nothing is stored
    /// then.
    pub fn push(
        &mut self,
        first_row: usize,
        seeds: &[u8],
        bodies: &[u8],
    ) -> Result<(), UploadError> {
        let (seeds, rest) = seeds.as_chunks::<SEED_BYTES>();
        if !rest.is_empty() || seeds.is_empty() {
            return Err(UploadError::SeedLength { got: seeds.len() * SEED_BYTES + rest.len() });
        }
        if first_row != self.received {
            return Err(UploadError::OutOfOrder { got: first_row, expected: self.received });
        }
        let end = first_row + seeds.len();
        if end > self.matrix.rows {
            return Err(UploadError::TooManyRows { got: end, expected: self.matrix.rows });
        }
        let body_bytes = self.dimension * self.width.bytes();
        let row_bytes = self.bodies * body_bytes;
        let expected = seeds.len() * row_bytes;
        if bodies.len() != expected {
            let rows = seeds.len();
            return Err(UploadError::BodyLength { got: bodies.len(), rows, expected });
        }
        let columns = self.matrix.columns;
        let mut rows = vec![W::default(); seeds.len() * columns];
        rows.par_chunks_exact_mut(columns)
            .zip(seeds.par_iter().zip(bodies.par_chunks_exact(row_bytes)))
            .for_each(|(row, (&seed, bytes))| {
                let (mask, bodies) = row.split_at_mut(self.dimension);
                expand_mask(Seed(seed), mask);
                mask.iter_mut().for_each(|word| *word = word.and(self.kept));
                let bodies = bodies.chunks_exact_mut(self.dimension);
                for (body, bytes) in bodies.zip(bytes.chunks_exact(body_bytes)) {
                    unpack(bytes, self.width, body);
                }
            });
        self.matrix.store(first_row, &rows);
        self.received = end;
        Ok(())
    }

    /// Rows received so far.
    pub fn received(&self) -> usize {
        self.received
    }

    /// The complete matrix.
    ///
    /// # Errors
    /// [`UploadError::Incomplete`] if rows are missing.
    pub fn finish(self) -> Result<CipherMatrix<W>, UploadError> {
        if self.received == self.matrix.rows {
            Ok(self.matrix)
        } else {
            Err(UploadError::Incomplete { got: self.received, expected: self.matrix.rows })
        }
    }
}

impl Upload<u32> {
    /// Starts a matrix of `rows` rows of so many blocks under a profile.
    pub fn of(profile: Profile, rows: usize, blocks: usize) -> Self {
        let shape = (profile.dimension(), blocks * profile.bodies());
        Self::with(rows, shape, profile.width(), u32::MAX << profile.unused_bits())
    }
}

impl<W: Word> CipherMatrix<W> {
    fn zero(rows: usize, columns: usize) -> Self {
        Self { rows, columns, words: vec![W::default(); rows * columns] }
    }

    /// A matrix from row-major words, mask and then `bodies` bodies per row.
    pub fn from_rows(words: &[W], bodies: usize) -> Self {
        let columns = (1 + bodies) * POLYNOMIAL_SIZE;
        let rows = words.len() / columns;
        let mut matrix = Self::zero(rows, columns);
        matrix.store(0, &words[..rows * columns]);
        matrix
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Words of a row: N of the mask, N of each body.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Number of tiles.
    pub(crate) fn tiles(&self) -> usize {
        self.columns / TILE
    }

    /// All rows' words of one tile.
    pub(crate) fn tile(&self, tile: usize) -> &[W] {
        &self.words[tile * self.rows * TILE..][..self.rows * TILE]
    }

    fn store(&mut self, first_row: usize, row_major: &[W]) {
        let (tile_words, columns) = (self.rows * TILE, self.columns);
        self.words.par_chunks_exact_mut(tile_words.max(1)).enumerate().for_each(|(tile, words)| {
            let rows = words[first_row * TILE..].chunks_exact_mut(TILE);
            for (to, from) in rows.zip(row_major.chunks_exact(columns)) {
                to.copy_from_slice(&from[tile * TILE..][..TILE]);
            }
        });
    }
}

impl<W> std::fmt::Debug for CipherMatrix<W> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CipherMatrix")
            .field("rows", &self.rows)
            .field("columns", &self.columns)
            .finish_non_exhaustive()
    }
}
