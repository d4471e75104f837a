//! Update rules and schedules between schema and domain.

use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule, WeightAverage};

use crate::{
    ConversionError,
    conversion::required,
    v1::{Adam, Optimizer, Schedule as ScheduleMessage, Sgd, optimizer::Rule, schedule},
};

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
        if let Some(decay) = message.averaging {
            WeightAverage::validate(decay).map_err(|error| wrong("optimizer.averaging", error))?;
        }
        Ok(Self { optimizer, schedule, averaging: message.averaging })
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
        Self { rule: Some(message), schedule: Some(schedule), averaging: rule.averaging }
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
            averaging: Some(0.99),
        }
    }

    #[test]
    fn rules_survive_the_journey() {
        for averaging in [None, Some(0.0), Some(0.99)] {
            let rule = TrainingRule { averaging, ..rule() };
            assert_eq!(TrainingRule::try_from(Optimizer::from(&rule)), Ok(rule));
        }
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
        for decay in [1.0, -0.1, f32::NAN, f32::INFINITY] {
            let message = Optimizer { averaging: Some(decay), ..Optimizer::from(&rule()) };
            let error = TrainingRule::try_from(message).unwrap_err();
            assert!(error.to_string().contains("optimizer.averaging"), "{error}");
        }
    }

    fn message_schedule() -> ScheduleMessage {
        Optimizer::from(&rule()).schedule.unwrap()
    }
}
