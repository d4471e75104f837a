/// Why an optimiser refuses. Weights and state are unchanged then.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
pub enum OptimizerError {
    /// A hyper-parameter out of its range.
    #[error("{parameter} is {got}, it must be in {range}")]
    Parameter {
        /// Its name.
        parameter: &'static str,
        /// The value offered.
        got: f32,
        /// The values allowed.
        range: &'static str,
    },
    /// Nesterov's look-ahead without a momentum to look ahead with.
    #[error("nesterov needs a momentum above 0")]
    NesterovWithoutMomentum,
    /// Warm-up as long as the whole schedule, or longer.
    #[error("a warm-up of {warmup} steps leaves nothing of {total} steps")]
    Warmup {
        /// Steps of warm-up.
        warmup: u64,
        /// Steps of the schedule.
        total: u64,
    },
    /// Weights, gradient or stored state of another length.
    #[error("{what} has {got} components, the optimiser has {expected}")]
    Length {
        /// What.
        what: &'static str,
        /// Its length.
        got: usize,
        /// The length expected.
        expected: usize,
    },
    /// An infinite gradient, or one that is not a number.
    #[error("gradient component {index} is not finite")]
    NonFiniteGradient {
        /// First such component.
        index: usize,
    },
    /// A stored buffer or weight is infinite or not a number.
    #[error("component {index} of {what} is not finite")]
    NonFiniteState {
        /// What.
        what: &'static str,
        /// First such component.
        index: usize,
    },
    /// The step would make a weight or a moment infinite.
    #[error("the step would overflow weight {index}: lower the learning rate")]
    Diverged {
        /// First such weight.
        index: usize,
    },
}

/// Refuses a hyper-parameter unless `valid`.
pub(crate) fn require(
    valid: bool,
    parameter: &'static str,
    got: f32,
    range: &'static str,
) -> Result<(), OptimizerError> {
    if valid { Ok(()) } else { Err(OptimizerError::Parameter { parameter, got, range }) }
}

/// Refuses a length other than `expected`.
pub(crate) fn require_length(
    what: &'static str,
    got: usize,
    expected: usize,
) -> Result<(), OptimizerError> {
    if got == expected { Ok(()) } else { Err(OptimizerError::Length { what, got, expected }) }
}
