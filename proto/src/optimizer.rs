//! Update rules and schedules between schema and domain.

use sphinx_optimizer::{Decay, OptimizerSpec, Schedule};

use crate::{
    ConversionError,
    conversion::required,
    v1::{Adam, Optimizer, Schedule as ScheduleMessage, Sgd, optimizer::Rule, schedule},
};

/// An update rule and the learning rates it is used with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingRule {
    /// The update rule.
    pub optimizer: OptimizerSpec,
    /// The learning rates.
    pub schedule: Schedule,
}

impl TryFrom<Optimizer> for TrainingRule {
    type Error = ConversionError;

    fn try_from(message: Optimizer) -> Result<Self, ConversionError> {
        let optimizer = match required("optimizer.rule", "sgd or adam", message.rule)? {
            Rule::Sgd(Sgd { momentum, nesterov }) => OptimizerSpec::Sgd { momentum, nesterov },
            Rule::Adam(Adam { beta1, beta2, epsilon }) => {
                OptimizerSpec::Adam { beta1, beta2, epsilon }
            }
        };
        optimizer.validate().map_err(|error| wrong("optimizer.rule", error))?;
        let times =
            required("optimizer.schedule", "learning rate and total steps", message.schedule)?;
        let schedule = Schedule {
            peak: times.learning_rate,
            decay: decay(times.decay, times.floor)?,
            warmup: u64::from(times.warmup_steps),
            total: u64::from(times.total_steps),
        };
        schedule.validate().map_err(|error| wrong("optimizer.schedule", error))?;
        Ok(Self { optimizer, schedule })
    }
}

fn decay(value: i32, floor: f32) -> Result<Decay, ConversionError> {
    match schedule::Decay::try_from(value) {
        Ok(schedule::Decay::Constant) => Ok(Decay::Constant),
        Ok(schedule::Decay::Linear) => Ok(Decay::Linear { floor }),
        Ok(schedule::Decay::Cosine) => Ok(Decay::Cosine { floor }),
        Ok(schedule::Decay::Unspecified) | Err(_) => Err(ConversionError::Value {
            field: "optimizer.schedule.decay",
            got: value.to_string(),
            expected: "DECAY_CONSTANT (1), DECAY_LINEAR (2) or DECAY_COSINE (3)",
        }),
    }
}

fn wrong(field: &'static str, error: sphinx_optimizer::OptimizerError) -> ConversionError {
    let expected = "hyper-parameters within their domains";
    ConversionError::Value { field, got: error.to_string(), expected }
}

impl From<&TrainingRule> for Optimizer {
    fn from(rule: &TrainingRule) -> Self {
        let steps = |steps: u64| u32::try_from(steps).unwrap_or(u32::MAX);
        let (decay, floor) = match rule.schedule.decay {
            Decay::Constant => (schedule::Decay::Constant, 0.0),
            Decay::Linear { floor } => (schedule::Decay::Linear, floor),
            Decay::Cosine { floor } => (schedule::Decay::Cosine, floor),
        };
        let schedule = ScheduleMessage {
            learning_rate: rule.schedule.peak,
            decay: decay.into(),
            warmup_steps: steps(rule.schedule.warmup),
            total_steps: steps(rule.schedule.total),
            floor,
        };
        let message = match rule.optimizer {
            OptimizerSpec::Sgd { momentum, nesterov } => Rule::Sgd(Sgd { momentum, nesterov }),
            OptimizerSpec::Adam { beta1, beta2, epsilon } => {
                Rule::Adam(Adam { beta1, beta2, epsilon })
            }
        };
        Self { rule: Some(message), schedule: Some(schedule) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule() -> TrainingRule {
        TrainingRule {
            optimizer: OptimizerSpec::ADAM,
            schedule: Schedule {
                peak: 0.5,
                decay: Decay::Cosine { floor: 0.1 },
                warmup: 3,
                total: 90,
            },
        }
    }

    #[test]
    fn rules_survive_the_journey() {
        assert_eq!(TrainingRule::try_from(Optimizer::from(&rule())), Ok(rule()));
    }

    #[test]
    fn rejects_nonsense() {
        let mut message = Optimizer::from(&rule());
        message.rule = None;
        assert!(matches!(TrainingRule::try_from(message), Err(ConversionError::Missing { .. })));
        for schedule in [
            ScheduleMessage { learning_rate: f32::NAN, ..message_schedule() },
            ScheduleMessage { warmup_steps: 90, ..message_schedule() },
            ScheduleMessage { decay: 9, ..message_schedule() },
        ] {
            let message = Optimizer { schedule: Some(schedule), ..Optimizer::from(&rule()) };
            assert!(matches!(TrainingRule::try_from(message), Err(ConversionError::Value { .. })));
        }
    }

    fn message_schedule() -> ScheduleMessage {
        Optimizer::from(&rule()).schedule.unwrap()
    }
}
