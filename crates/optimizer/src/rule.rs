//! The update rule of a whole training, and what it remembers between steps.

use crate::average::WeightAverage;
use crate::error::{OptimizerError, require_length};
use crate::optimizer::{Optimizer, OptimizerSpec, OptimizerState, StepRates};
use crate::schedule::Schedule;

/// An update rule and the learning rates it is used with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingRule {
    /// The update rule.
    pub optimizer: OptimizerSpec,
    /// The learning rates.
    pub schedule: Schedule,
    /// Decay of the moving average of all parameters, if one is kept.
    pub averaging: Option<f32>,
}

/// What a rule remembers of a list of parameter vectors: an optimiser each, and an average each if
/// the rule keeps one.
///
/// A step is one of the optimiser, then the average takes in what came of it. Server and client
/// both make it on the weights by [`RuleState::step`], with rates that the client computes
/// ([`RuleState::rates`]); they must agree bit for bit, which is why this exists once. Biases are
/// put on a grid between the halves: [`RuleState::descend`], [`RuleState::take_in`].
#[derive(Debug, Clone, PartialEq)]
pub struct RuleState {
    rule: TrainingRule,
    optimizers: Vec<Optimizer>,
    averages: Option<Vec<WeightAverage>>,
}

impl RuleState {
    /// The state of a rule that has made no step on `vectors`.
    ///
    /// # Errors
    /// As [`Optimizer::new`] and [`WeightAverage::new`].
    pub fn new<'a>(
        rule: TrainingRule,
        vectors: impl IntoIterator<Item = &'a Vec<f32>> + Clone,
    ) -> Result<Self, OptimizerError> {
        let optimizers = vectors.clone().into_iter();
        let optimizers = optimizers
            .map(|vector| Optimizer::new(rule.optimizer, vector.len()))
            .collect::<Result<_, _>>()?;
        let start =
            |decay| vectors.into_iter().map(|vector| WeightAverage::new(decay, vector)).collect();
        Ok(Self { rule, optimizers, averages: rule.averaging.map(start).transpose()? })
    }

    /// A state that goes on from stored moments, and from averages that have taken in so many
    /// steps; averages that the rule keeps and nobody stored start at `vectors`.
    ///
    /// # Errors
    /// As [`Optimizer::restore`] and [`WeightAverage::restore`]; [`OptimizerError::Length`] unless
    /// everything is of as many vectors.
    pub fn restore(
        rule: TrainingRule,
        moments: Vec<OptimizerState>,
        averages: Option<(u64, Vec<Vec<f32>>)>,
        vectors: &[Vec<f32>],
    ) -> Result<Self, OptimizerError> {
        require_length("stored moments", moments.len(), vectors.len())?;
        let mut state = Self::new(rule, vectors)?;
        for ((optimizer, moments), vector) in state.optimizers.iter_mut().zip(moments).zip(vectors)
        {
            *optimizer = Optimizer::restore(rule.optimizer, vector.len(), moments)?;
        }
        if let (Some(kept), Some((updates, stored))) = (&mut state.averages, averages) {
            require_length("stored averages", stored.len(), vectors.len())?;
            for ((kept, stored), vector) in kept.iter_mut().zip(stored).zip(vectors) {
                *kept = WeightAverage::restore(kept.decay, updates, stored, vector.len())?;
            }
        }
        Ok(state)
    }

    /// The rule.
    pub fn rule(&self) -> &TrainingRule {
        &self.rule
    }

    /// The moments to store, vector by vector.
    pub fn moments(&self) -> impl Iterator<Item = &OptimizerState> {
        self.optimizers.iter().map(Optimizer::state)
    }

    /// The averages, if the rule keeps them: what a training ends with when it adopts them.
    pub fn averages(&self) -> Option<&[WeightAverage]> {
        self.averages.as_deref()
    }

    /// What step `step` of a training, counted from 0, multiplies with.
    pub fn rates(&self, step: u64) -> StepRates {
        let made = self.optimizers.first().map_or(0, |optimizer| optimizer.state().steps) + 1;
        self.rule.optimizer.rates(self.rule.schedule.rate(step), made)
    }

    /// This state for a training by `rule` that comes after it. Moments go on where the optimiser
    /// is the same; the average goes on only `within` the same training, and begins at `vectors`
    /// otherwise.
    ///
    /// # Errors
    /// As [`RuleState::new`].
    pub fn carried(
        self,
        rule: TrainingRule,
        within: bool,
        vectors: &[Vec<f32>],
    ) -> Result<Self, OptimizerError> {
        let mut next = Self::new(rule, vectors)?;
        if self.rule.optimizer == rule.optimizer && self.optimizers.len() == vectors.len() {
            next.optimizers = self.optimizers;
        }
        if within && self.rule.averaging == rule.averaging {
            next.averages = self.averages;
        }
        Ok(next)
    }

    /// A step of the optimiser on every vector; then the averages take them in.
    ///
    /// # Errors
    /// As [`RuleState::descend`] and [`RuleState::take_in`]; vectors before the one that was
    /// refused have changed then.
    pub fn step<'a>(
        &mut self,
        rates: &StepRates,
        vectors: impl IntoIterator<Item = &'a mut Vec<f32>>,
        gradients: &[Vec<f32>],
    ) -> Result<(), OptimizerError> {
        let mut vectors: Vec<_> = vectors.into_iter().collect();
        self.descend(rates, vectors.iter_mut().map(|vector| &mut **vector), gradients)?;
        self.take_in(vectors.iter().map(|vector| &**vector))
    }

    /// A step of the optimiser on every vector.
    ///
    /// # Errors
    /// As [`Optimizer::apply`]; [`OptimizerError::Length`] unless there are as many gradients as
    /// vectors.
    pub fn descend<'a>(
        &mut self,
        rates: &StepRates,
        vectors: impl IntoIterator<Item = &'a mut Vec<f32>>,
        gradients: &[Vec<f32>],
    ) -> Result<(), OptimizerError> {
        require_length("list of gradients", gradients.len(), self.optimizers.len())?;
        let vectors = vectors.into_iter().zip(gradients);
        for (optimizer, (vector, gradient)) in self.optimizers.iter_mut().zip(vectors) {
            optimizer.apply(vector, gradient, rates)?;
        }
        Ok(())
    }

    /// Takes the vectors after a step into their averages, if the rule keeps any.
    ///
    /// # Errors
    /// As [`WeightAverage::update`].
    pub fn take_in<'a>(
        &mut self,
        vectors: impl IntoIterator<Item = &'a Vec<f32>>,
    ) -> Result<(), OptimizerError> {
        for (average, vector) in self.averages.iter_mut().flatten().zip(vectors) {
            average.update(vector)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Decay;

    const SCHEDULE: Schedule =
        Schedule { peak: 0.25, decay: Decay::Linear { floor: 0.0 }, warmup: 1, total: 5 };
    const RULE: TrainingRule =
        TrainingRule { optimizer: OptimizerSpec::ADAM, schedule: SCHEDULE, averaging: Some(0.5) };

    fn vectors() -> Vec<Vec<f32>> {
        vec![vec![1.0, -2.0], vec![0.5]]
    }

    fn gradients(step: u64) -> Vec<Vec<f32>> {
        let scale = step as f32 + 1.0;
        vec![vec![0.5 * scale, -1.0], vec![0.25 / scale]]
    }

    #[test]
    fn a_step_is_the_optimisers_and_then_the_averages() {
        let mut state = RuleState::new(RULE, &vectors()).unwrap();
        let mut stepped = vectors();
        let mut expected = vectors();
        for (index, expected) in expected.iter_mut().enumerate() {
            let mut optimizer = Optimizer::new(RULE.optimizer, expected.len()).unwrap();
            let mut average = WeightAverage::new(0.5, expected).unwrap();
            for step in 0..4 {
                let rates = RULE.optimizer.rates(SCHEDULE.rate(step), step + 1);
                optimizer.apply(expected, &gradients(step)[index], &rates).unwrap();
                average.update(expected).unwrap();
            }
            *expected = average.average;
        }
        for step in 0..4 {
            state.step(&state.rates(step), &mut stepped, &gradients(step)).unwrap();
        }
        let averages = state.averages().unwrap().iter().map(|average| average.average.clone());
        assert_eq!(averages.collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_restored_state_goes_on_where_it_was() {
        let (mut state, mut vectors) = (RuleState::new(RULE, &vectors()).unwrap(), vectors());
        state.step(&state.rates(0), &mut vectors, &gradients(0)).unwrap();
        let moments: Vec<_> = state.moments().cloned().collect();
        let kept = state.averages().unwrap();
        let averages = kept.iter().map(|average| average.average.clone()).collect();
        let stored = Some((kept[0].updates, averages));
        let mut restored = RuleState::restore(RULE, moments.clone(), stored, &vectors).unwrap();
        assert_eq!(restored, state);
        let rates = state.rates(1);
        restored.step(&rates, &mut vectors.clone(), &gradients(1)).unwrap();
        state.step(&rates, &mut vectors, &gradients(1)).unwrap();
        assert_eq!(restored, state);
        let fresh = RuleState::restore(RULE, moments, None, &vectors).unwrap();
        assert_eq!(fresh.averages().unwrap()[0].updates, 0);
        let error = RuleState::restore(RULE, Vec::new(), None, &vectors).unwrap_err();
        let expected = OptimizerError::Length { what: "stored moments", got: 0, expected: 2 };
        assert_eq!(error, expected);
    }

    #[test]
    fn moments_outlast_a_training_and_averages_do_not() {
        let (mut state, mut vectors) = (RuleState::new(RULE, &vectors()).unwrap(), vectors());
        state.step(&state.rates(0), &mut vectors, &gradients(0)).unwrap();
        let same = state.clone().carried(RULE, true, &vectors).unwrap();
        assert_eq!(same, state);
        let next = state.clone().carried(RULE, false, &vectors).unwrap();
        assert!(next.moments().eq(state.moments()));
        assert_eq!(next.averages().unwrap()[0].average, vectors[0]);
        let other = OptimizerSpec::Sgd { momentum: 0.5, nesterov: false };
        let other = TrainingRule { optimizer: other, ..RULE };
        let fresh = state.carried(other, true, &vectors).unwrap();
        assert!(fresh.moments().all(|moments| moments.steps == 0));
    }

    #[test]
    fn rejects_gradients_of_fewer_vectors() {
        let mut state = RuleState::new(RULE, &vectors()).unwrap();
        let error = state.step(&state.rates(0), &mut vectors(), &gradients(0)[..1]).unwrap_err();
        let expected = OptimizerError::Length { what: "list of gradients", got: 1, expected: 2 };
        assert_eq!(error, expected);
    }
}
