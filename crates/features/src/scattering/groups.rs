//! Group normalisation (Wu & He, 2018) without learned parameters.

use super::ScatteringError;

/// Added to variances, as in the networks of Tramèr & Boneh (ICLR 2021).
pub const EPSILON: f32 = 1e-5;

/// Gives each of `groups` equal runs of `features` mean 0 and variance 1:
/// `(x - mean) / √(variance + `[`EPSILON`]`)`.
///
/// Features are laid out `[channel][y][x]`, so that a run is a number of neighbouring channels at
/// all positions. No result exceeds the square root of the run's length.
///
/// # Errors
/// [`ScatteringError::Groups`] unless the groups have the same positive size.
pub fn normalise_groups(features: &mut [f32], groups: usize) -> Result<(), ScatteringError> {
    if groups == 0 || features.is_empty() || !features.len().is_multiple_of(groups) {
        return Err(ScatteringError::Groups { got: features.len(), groups });
    }
    let size = features.len() / groups;
    for group in features.chunks_exact_mut(size) {
        let mean = group.iter().map(|&x| f64::from(x)).sum::<f64>() / size as f64;
        let squares = group.iter().map(|&x| (f64::from(x) - mean).powi(2));
        let variance = squares.sum::<f64>() / size as f64;
        let (mean, gain) = (mean as f32, (1.0 / (variance + f64::from(EPSILON)).sqrt()) as f32);
        group.iter_mut().for_each(|x| *x = (*x - mean) * gain);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{ScatteringError, normalise_groups};

    #[test]
    fn every_group_gets_mean_zero_and_variance_one() {
        let mut features = [1.0, 3.0, 1.0, 3.0, -7.0, -7.0, -7.0, -3.0];
        normalise_groups(&mut features, 2).unwrap();
        let expected = [-1.0, 1.0, -1.0, 1.0, -0.577_35, -0.577_35, -0.577_35, 1.732_05];
        for (got, expected) in features.iter().zip(expected) {
            assert!((got - expected).abs() < 1e-4, "{got}, expected {expected}");
        }
    }

    #[test]
    fn constant_features_become_zero() {
        let mut features = [0.25; 6];
        normalise_groups(&mut features, 3).unwrap();
        assert_eq!(features, [0.0; 6]);
    }

    #[test]
    fn rejects_groups_of_unequal_size() {
        for groups in [0, 4, 7] {
            let result = normalise_groups(&mut [0.0; 6], groups);
            assert_eq!(result, Err(ScatteringError::Groups { got: 6, groups }));
        }
        let result = normalise_groups(&mut [], 1);
        assert_eq!(result, Err(ScatteringError::Groups { got: 0, groups: 1 }));
    }
}
