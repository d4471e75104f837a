//! The update rules and their state.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{OptimizerError, require, require_length};

/// Update rule with its hyper-parameters; the learning rate comes with each step.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum OptimizerSpec {
    /// Stochastic gradient descent: v ← μv + g, w ← w − ηv (Nesterov: w ← w − η(g + μv), as in
    /// Sutskever et al. 2013, in the form of PyTorch).
    Sgd {
        /// μ in [0, 1); 0 keeps no velocity.
        momentum: f32,
        /// Look ahead along the velocity; needs a momentum.
        nesterov: bool,
    },
    /// Adam with bias correction (Kingma & Ba 2015): m ← β₁m + (1−β₁)g, v ← β₂v + (1−β₂)g²,
    /// w ← w − η m̂ / (√v̂ + ε).
    Adam {
        /// β₁ in [0, 1).
        beta1: f32,
        /// β₂ in [0, 1).
        beta2: f32,
        /// ε > 0. With noised gradients √v̂ is at least the noise's deviation, so ε hardly matters.
        epsilon: f32,
    },
}

impl OptimizerSpec {
    /// Adam with the constants of its paper.
    pub const ADAM: Self = Self::Adam { beta1: 0.9, beta2: 0.999, epsilon: 1e-8 };

    /// # Errors
    /// [`OptimizerError::Parameter`], [`OptimizerError::NesterovWithoutMomentum`].
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let fraction =
            |name, value: f32| require((0.0..1.0).contains(&value), name, value, "[0, 1)");
        match *self {
            Self::Sgd { momentum, nesterov } => {
                fraction("momentum", momentum)?;
                if nesterov && momentum == 0.0 {
                    return Err(OptimizerError::NesterovWithoutMomentum);
                }
                Ok(())
            }
            Self::Adam { beta1, beta2, epsilon } => {
                fraction("beta1", beta1)?;
                fraction("beta2", beta2)?;
                let positive = epsilon.is_finite() && epsilon > 0.0;
                require(positive, "epsilon", epsilon, "(0, infinity)")
            }
        }
    }

    /// What step `made`, counted from 1, multiplies with besides the gradient. Powers differ
    /// between machines, so whoever steps in two places computes this in one.
    pub fn rates(&self, learning_rate: f32, made: u64) -> StepRates {
        // In f64: 1 − β₂ᵗ loses its digits in f32 during the first steps.
        let correction = |beta: f32| (1.0 / (1.0 - f64::from(beta).powf(made as f64))) as f32;
        match *self {
            Self::Sgd { .. } => {
                StepRates { learning_rate, first_correction: 1.0, second_correction: 1.0 }
            }
            Self::Adam { beta1, beta2, .. } => StepRates {
                learning_rate,
                first_correction: correction(beta1),
                second_correction: correction(beta2),
            },
        }
    }

    /// Lengths of the first and second moment for so many weights.
    fn moments(&self, weights: usize) -> (usize, usize) {
        match *self {
            Self::Sgd { momentum, .. } => (if momentum == 0.0 { 0 } else { weights }, 0),
            Self::Adam { .. } => (weights, weights),
        }
    }
}

/// What a step multiplies with besides the gradient: with these, it is additions, multiplications,
/// divisions and square roots in f32, which agree bit for bit on every machine.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepRates {
    /// η of this step.
    pub learning_rate: f32,
    /// Of Adam: 1 / (1 − β₁ᵗ); 1 for other rules.
    pub first_correction: f32,
    /// Of Adam: 1 / (1 − β₂ᵗ); 1 for other rules.
    pub second_correction: f32,
}

impl StepRates {
    /// # Errors
    /// [`OptimizerError::Parameter`] for a rate that is negative or not finite, and corrections
    /// below 1.
    pub fn validate(&self) -> Result<(), OptimizerError> {
        let rate = self.learning_rate;
        require(rate.is_finite() && rate >= 0.0, "learning rate", rate, "[0, infinity)")?;
        for correction in [self.first_correction, self.second_correction] {
            let valid = correction.is_finite() && correction >= 1.0;
            require(valid, "correction of the moments", correction, "[1, infinity)")?;
        }
        Ok(())
    }
}

/// What an optimiser remembers between steps, as plain buffers to be stored with the model.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerState {
    /// Steps made.
    pub steps: u64,
    /// Velocity of SGD (empty without momentum), first moment of Adam.
    pub first: Vec<f32>,
    /// Second moment of Adam; empty for SGD.
    pub second: Vec<f32>,
}

/// Without the moments: a client's are made of gradients that nobody else may read.
impl fmt::Debug for OptimizerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, second) = (self.first.len(), self.second.len());
        write!(f, "OptimizerState({} steps, moments of {first} and {second})", self.steps)
    }
}

/// An optimiser of a fixed number of weights.
#[derive(Debug, Clone, PartialEq)]
pub struct Optimizer {
    spec: OptimizerSpec,
    weights: usize,
    state: OptimizerState,
}

impl Optimizer {
    /// An optimiser that has made no step.
    ///
    /// # Errors
    /// As [`OptimizerSpec::validate`].
    pub fn new(spec: OptimizerSpec, weights: usize) -> Result<Self, OptimizerError> {
        let (first, second) = spec.moments(weights);
        let state = OptimizerState { steps: 0, first: vec![0.0; first], second: vec![0.0; second] };
        Self::restore(spec, weights, state)
    }

    /// An optimiser that goes on from a stored state.
    ///
    /// # Errors
    /// As [`OptimizerSpec::validate`]; [`OptimizerError::Length`] and
    /// [`OptimizerError::NonFiniteState`] for a state that is not of such an optimiser.
    pub fn restore(
        spec: OptimizerSpec,
        weights: usize,
        state: OptimizerState,
    ) -> Result<Self, OptimizerError> {
        spec.validate()?;
        let (first, second) = spec.moments(weights);
        for (what, buffer, expected) in
            [("first moment", &state.first, first), ("second moment", &state.second, second)]
        {
            require_length(what, buffer.len(), expected)?;
            if let Some(index) = buffer.iter().position(|value| !value.is_finite()) {
                return Err(OptimizerError::NonFiniteState { what, index });
            }
        }
        Ok(Self { spec, weights, state })
    }

    /// The update rule.
    pub fn spec(&self) -> &OptimizerSpec {
        &self.spec
    }

    /// The state to store.
    pub fn state(&self) -> &OptimizerState {
        &self.state
    }

    /// Makes one step along a gradient. Two passes over the weights, a few nanoseconds each: the
    /// first only looks whether everything stays finite.
    ///
    /// # Errors
    /// [`OptimizerError::Length`], [`OptimizerError::Parameter`] (learning rate),
    /// [`OptimizerError::NonFiniteGradient`], [`OptimizerError::Diverged`]; nothing changes then.
    pub fn apply(
        &mut self,
        weights: &mut [f32],
        gradient: &[f32],
        rates: &StepRates,
    ) -> Result<(), OptimizerError> {
        require_length("weights", weights.len(), self.weights)?;
        require_length("gradient", gradient.len(), self.weights)?;
        rates.validate()?;
        let learning_rate = rates.learning_rate;
        if let Some(index) = gradient.iter().position(|component| !component.is_finite()) {
            return Err(OptimizerError::NonFiniteGradient { index });
        }
        let OptimizerState { steps, first, second } = &mut self.state;
        match self.spec {
            OptimizerSpec::Sgd { momentum: 0.0, .. } => {
                let rule = |w: f32, g: f32| w - learning_rate * g;
                let mut next = weights.iter().zip(gradient).map(|(&w, &g)| rule(w, g));
                refuse_divergence(next.position(|w| !w.is_finite()))?;
                weights.iter_mut().zip(gradient).for_each(|(w, &g)| *w = rule(*w, g));
            }
            OptimizerSpec::Sgd { momentum, nesterov } => {
                let rule = |w: f32, v: f32, g: f32| {
                    let v = momentum * v + g;
                    let direction = if nesterov { g + momentum * v } else { v };
                    (w - learning_rate * direction, v)
                };
                let rows = weights.iter().zip(first.iter()).zip(gradient);
                let mut next = rows.map(|((&w, &v), &g)| rule(w, v, g));
                refuse_divergence(next.position(|(w, v)| !(w.is_finite() && v.is_finite())))?;
                for ((w, v), &g) in weights.iter_mut().zip(first).zip(gradient) {
                    (*w, *v) = rule(*w, *v, g);
                }
            }
            OptimizerSpec::Adam { beta1, beta2, epsilon } => {
                let (unbias1, unbias2) = (rates.first_correction, rates.second_correction);
                let rule = |w: f32, m: f32, v: f32, g: f32| {
                    let m = beta1 * m + (1.0 - beta1) * g;
                    let v = beta2 * v + (1.0 - beta2) * g * g;
                    let direction = m * unbias1 / ((v * unbias2).sqrt() + epsilon);
                    (w - learning_rate * direction, m, v)
                };
                let rows = weights.iter().zip(first.iter()).zip(second.iter()).zip(gradient);
                let mut next = rows.map(|(((&w, &m), &v), &g)| rule(w, m, v, g));
                refuse_divergence(
                    next.position(|(w, m, v)| !(w.is_finite() && m.is_finite() && v.is_finite())),
                )?;
                for (((w, m), v), &g) in weights.iter_mut().zip(first).zip(second).zip(gradient) {
                    (*w, *m, *v) = rule(*w, *m, *v, g);
                }
            }
        }
        *steps += 1;
        Ok(())
    }
}

fn refuse_divergence(overflow: Option<usize>) -> Result<(), OptimizerError> {
    overflow.map_or(Ok(()), |index| Err(OptimizerError::Diverged { index }))
}

#[cfg(test)]
mod tests;
