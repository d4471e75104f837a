//! Rows of scalars, one slot per example.

use std::fmt;
use std::slice::ChunksExactMut;

/// The number of slots of a [`Tensor`] is a multiple of this, so that every vector width divides
/// it.
pub const SLOT_GROUP: usize = 16;

/// `rows × slots` values, row-major: row = scalar of a feature map, slot = example.
///
/// Holds decrypted values, so [`fmt::Debug`] prints the shape alone. The memory is not wiped on
/// drop.
#[derive(Clone, PartialEq)]
pub struct Tensor {
    rows: usize,
    slots: usize,
    data: Vec<f32>,
}

/// Why values do not form the [`Tensor`] they should.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TensorError {
    /// The number of slots is zero or not a multiple of [`SLOT_GROUP`].
    #[error("got {got} slots, expected a positive multiple of {SLOT_GROUP}; pad the block")]
    SlotGroup {
        /// Number of slots.
        got: usize,
    },
    /// The number of values is not `rows × slots`.
    #[error("got {got} values, expected rows x slots = {expected}")]
    Length {
        /// Number of values.
        got: usize,
        /// `rows × slots`.
        expected: usize,
    },
    /// The number of rows is not that of the feature map.
    #[error("got {got} rows, expected {expected}")]
    Rows {
        /// Number of rows.
        got: usize,
        /// Number of scalars of the feature map.
        expected: usize,
    },
    /// The number of slots is not that of the block.
    #[error("got {got} slots, expected {expected}")]
    Slots {
        /// Number of slots.
        got: usize,
        /// Number of slots of the block.
        expected: usize,
    },
}

impl Tensor {
    /// A tensor of zeros.
    ///
    /// # Errors
    /// [`TensorError::SlotGroup`].
    pub fn zeros(rows: usize, slots: usize) -> Result<Self, TensorError> {
        check_slot_group(slots)?;
        Ok(Self { rows, slots, data: vec![0.0; rows * slots] })
    }

    /// A tensor of `data`, row-major.
    ///
    /// # Errors
    /// [`TensorError::SlotGroup`] or [`TensorError::Length`].
    pub fn new(rows: usize, slots: usize, data: Vec<f32>) -> Result<Self, TensorError> {
        check_slot_group(slots)?;
        let expected = rows.saturating_mul(slots);
        if data.len() != expected {
            return Err(TensorError::Length { got: data.len(), expected });
        }
        Ok(Self { rows, slots, data })
    }

    /// Number of scalars.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of examples, padding included.
    pub fn slots(&self) -> usize {
        self.slots
    }

    /// One scalar of every example.
    ///
    /// # Panics
    /// If there is no such row, as indexing does.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.slots..][..self.slots]
    }

    /// All rows in order, to be written.
    pub fn rows_mut(&mut self) -> ChunksExactMut<'_, f32> {
        self.data.chunks_exact_mut(self.slots)
    }

    /// All values, row-major.
    pub fn as_slice(&self) -> &[f32] {
        &self.data
    }

    /// All values, row-major, to be written.
    pub fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.data
    }

    /// Gives up the shape.
    pub fn into_vec(self) -> Vec<f32> {
        self.data
    }

    /// Zeros with as many slots as `self`.
    pub(crate) fn zeros_beside(&self, rows: usize) -> Self {
        Self { rows, slots: self.slots, data: vec![0.0; rows * self.slots] }
    }

    /// Checks that this is `rows × slots`.
    pub(crate) fn expect_shape(&self, rows: usize, slots: usize) -> Result<(), TensorError> {
        if self.rows != rows {
            return Err(TensorError::Rows { got: self.rows, expected: rows });
        }
        if self.slots != slots {
            return Err(TensorError::Slots { got: self.slots, expected: slots });
        }
        Ok(())
    }
}

impl fmt::Debug for Tensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tensor")
            .field("rows", &self.rows)
            .field("slots", &self.slots)
            .finish_non_exhaustive()
    }
}

fn check_slot_group(slots: usize) -> Result<(), TensorError> {
    if slots == 0 || !slots.is_multiple_of(SLOT_GROUP) {
        return Err(TensorError::SlotGroup { got: slots });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Tensor, TensorError};

    #[test]
    fn rejects_slots_that_are_no_multiple_of_the_group() {
        assert_eq!(Tensor::zeros(3, 24), Err(TensorError::SlotGroup { got: 24 }));
        assert_eq!(Tensor::new(1, 0, vec![]), Err(TensorError::SlotGroup { got: 0 }));
    }

    #[test]
    fn rejects_wrong_lengths() {
        let short = Tensor::new(2, 16, vec![0.0; 31]);
        assert_eq!(short, Err(TensorError::Length { got: 31, expected: 32 }));
        let overflow = Tensor::new(usize::MAX, 16, vec![0.0; 16]);
        assert_eq!(overflow, Err(TensorError::Length { got: 16, expected: usize::MAX }));
    }

    #[test]
    fn debug_prints_no_value() {
        let tensor = Tensor::new(1, 16, vec![0.625; 16]).unwrap();
        assert_eq!(format!("{tensor:?}"), "Tensor { rows: 1, slots: 16, .. }");
    }
}
