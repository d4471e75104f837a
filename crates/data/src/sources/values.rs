//! Numbers of any type as levels from 0 to 255.

use crate::levels::depth_shift;

/// Numbers as a file holds them.
pub(super) enum Values {
    Bytes(Vec<u8>),
    /// Unsigned numbers of 16 bits.
    Words(Vec<u16>),
    /// Whole numbers of other types.
    Whole(Vec<i64>),
    Real(Vec<f64>),
}

impl Values {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Bytes(values) => values.len(),
            Self::Words(values) => values.len(),
            Self::Whole(values) => values.len(),
            Self::Real(values) => values.len(),
        }
    }

    /// Levels. Bytes are levels; numbers of 16 bits are taken as of 8, 12 or 16 bits, whichever
    /// holds the largest; fractions are of 1 or of 255.
    ///
    /// # Errors
    /// What no level can be made of.
    pub(super) fn into_levels(self) -> Result<Vec<u8>, String> {
        match self {
            Self::Bytes(levels) => Ok(levels),
            Self::Words(values) => {
                let shift = depth_shift(values.iter().copied().max().unwrap_or(0));
                Ok(values.into_iter().map(|value| (value >> shift) as u8).collect())
            }
            Self::Whole(values) => {
                let words: Result<Vec<u16>, _> = values.into_iter().map(u16::try_from).collect();
                let words = words.map_err(|_| "values below 0 or above 65535".to_owned())?;
                Self::Words(words).into_levels()
            }
            Self::Real(values) => {
                let foreign = |value: &f64| !(0.0..=255.0).contains(value);
                if let Some(value) = values.iter().find(|value| foreign(value)) {
                    return Err(format!("the value {value}; levels are 0 to 1 or 0 to 255"));
                }
                let largest = values.iter().copied().fold(0.0, f64::max);
                let unit = if largest <= 1.0 { 255.0 } else { 1.0 };
                Ok(values.into_iter().map(|value| (value * unit).round() as u8).collect())
            }
        }
    }

    /// Labels.
    ///
    /// # Errors
    /// What is no label.
    pub(super) fn into_labels(self) -> Result<Vec<i64>, String> {
        match self {
            Self::Bytes(values) => Ok(values.into_iter().map(i64::from).collect()),
            Self::Words(values) => Ok(values.into_iter().map(i64::from).collect()),
            Self::Whole(values) => Ok(values),
            Self::Real(_) => {
                Err("labels that are fractions; whole numbers name classes".to_owned())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_come_of_every_type() {
        assert_eq!(Values::Words(vec![0, 4080]).into_levels().unwrap(), [0, 255]);
        assert_eq!(Values::Words(vec![0, 255]).into_levels().unwrap(), [0, 255]);
        assert_eq!(Values::Words(vec![256, 65_535]).into_levels().unwrap(), [1, 255]);
        assert_eq!(Values::Whole(vec![7, 200]).into_levels().unwrap(), [7, 200]);
        assert_eq!(Values::Real(vec![0.0, 0.2, 1.0]).into_levels().unwrap(), [0, 51, 255]);
        assert_eq!(Values::Real(vec![0.0, 254.6]).into_levels().unwrap(), [0, 255]);
        for foreign in [-0.1, 256.0, f64::NAN] {
            assert!(Values::Real(vec![foreign]).into_levels().is_err(), "{foreign}");
        }
        assert!(Values::Whole(vec![-1]).into_levels().is_err());
        assert!(Values::Real(vec![1.0]).into_labels().is_err());
    }
}
