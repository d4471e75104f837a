//! The table that a blind rotation looks an activation up in.

use sphinx_linalg::POLYNOMIAL_SIZE;
use sphinx_network::Activation;

use super::error::OneShotNetworkError;
use super::limits::with_margin;

/// An activation as a table over half the torus.
///
/// A blind rotation negates what it finds in the other half: f(φ + 1/2) = -f(φ). Every activation
/// here is odd about a point (c, o): f(c + t) - o = -(f(c - t) - o). Looking up t = z - c and
/// adding o in the clear makes the negation an asset: phases beyond a quarter turn find -(f(c + t -
/// half a turn) - o), which is the saturated value that they should find, until t is so large that
/// the slope on the other side comes into sight. No padding bit is needed.
pub(crate) struct Lookup {
    activation: Activation,
    /// c, in units of the pre-activation.
    centre: f64,
    /// o, in units of the activation.
    offset: f64,
    /// Integers modulo 2^64 per unit of the activation; zero until the next layer has set it.
    amplitude: f64,
    /// N entries; entry j is for phases in [j, j + 1) / 2N.
    words: Vec<u64>,
}

impl Lookup {
    pub(crate) fn new(activation: Activation) -> Self {
        let (centre, offset) = activation.centre();
        Self { activation, centre, offset, amplitude: 0.0, words: Vec::new() }
    }

    /// The point that the activation is odd about, in units of the pre-activation.
    pub(crate) fn centre(&self) -> f64 {
        self.centre
    }

    /// Largest absolute entry, in units of the activation.
    pub(crate) fn bound(&self) -> f64 {
        f64::from(self.activation.bound()) - self.offset
    }

    /// What is added to the entries to have the activation, in its units.
    pub(crate) fn offset(&self) -> f64 {
        self.offset
    }

    /// Half the torus in units of pre-activations of at most `reach`; at most `declared`.
    ///
    /// Off the centre they lie within T = reach + |c|. Up to a quarter turn a table has every
    /// value. Beyond, t finds the value for half a turn less t, which is right if that is saturated
    /// as well: if half a turn is at least T and the slope's width. If T ends within the slope, a
    /// quarter turn has to hold T.
    ///
    /// # Errors
    /// [`OneShotNetworkError::SlopeTooWide`] if the declared range is less than that, and cannot
    /// even hold pre-activations on both sides of zero that are as large as those of the slope.
    pub(crate) fn half_range(
        &self,
        stage: usize,
        reach: f64,
        declared: f64,
    ) -> Result<f64, OneShotNetworkError> {
        let (centre, slope) = (self.centre.abs(), self.activation.slope());
        let farthest = reach + centre;
        let enough = with_margin(farthest + farthest.min(slope));
        if enough <= declared {
            return Ok(enough);
        }
        let got = 2.0 * (centre + slope);
        match got <= declared {
            true => Ok(declared),
            false => {
                let activation = format!("{:?}", self.activation);
                Err(OneShotNetworkError::SlopeTooWide { stage, activation, got, limit: declared })
            }
        }
    }

    /// The entries.
    pub(crate) fn words(&self) -> &[u64] {
        &self.words
    }

    /// Fills the table for pre-activations at `scale` integers per unit and outputs at `amplitude`.
    pub(crate) fn set_amplitude(&mut self, amplitude: f64, scale: f64) {
        self.amplitude = amplitude;
        let half = POLYNOMIAL_SIZE / 2;
        let step = 63f64.exp2() / POLYNOMIAL_SIZE as f64 / scale;
        let entry = |place: i64| {
            let z = (place as f64 + 0.5) * step + self.centre;
            let value = f64::from(self.activation.apply(z as f32)) - self.offset;
            ((value * amplitude).round() as i64).cast_unsigned()
        };
        self.words = (0..POLYNOMIAL_SIZE)
            .map(|place| match place < half {
                true => entry(place as i64),
                // From [-1/4, 0), half a turn away.
                false => entry(place as i64 - POLYNOMIAL_SIZE as i64).wrapping_neg(),
            })
            .collect();
    }

    /// Integers modulo 2^64 per unit of the activation, as set for the next layer.
    pub(super) fn amplitude(&self) -> f64 {
        self.amplitude
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(lookup: &Lookup, place: i64) -> f64 {
        let place = place.rem_euclid(2 * POLYNOMIAL_SIZE as i64) as usize;
        let (place, sign) =
            (place % POLYNOMIAL_SIZE, if place < POLYNOMIAL_SIZE { 1.0 } else { -1.0 });
        sign * lookup.words[place].cast_signed() as f64 / lookup.amplitude + lookup.offset
    }

    #[test]
    fn tables_have_the_activation_between_their_folds() {
        let scale = 63f64.exp2() / 16.0;
        for activation in [
            Activation::Tanh,
            Activation::Sigmoid,
            Activation::Relu { cap: 3.0 },
            Activation::QuantisedTanh { levels: 8 },
            Activation::QuantisedTanh { levels: 2 },
        ] {
            let mut lookup = Lookup::new(activation);
            lookup.set_amplitude(50f64.exp2(), scale);
            for place in -1500..1500 {
                let z = (place as f64 + 0.5) * 16.0 / 2048.0 + lookup.centre;
                let error = value(&lookup, place) - f64::from(activation.apply(z as f32));
                assert!(error.abs() < 0.03, "{activation:?} at {z}: off by {error}");
            }
        }
    }
}
