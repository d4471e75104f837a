//! What a training reports while it works and in the end.

use std::time::Duration;

use sphinx_privacy::Epsilon;

use crate::traffic::Traffic;

/// The state of a training after a step.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// Steps of the training that are done.
    pub step: u64,
    /// Steps of the training in all.
    pub steps: u64,
    /// Passes over the data so far, in expectation.
    pub epoch: f64,
    /// Mean loss of the step's examples, over all their copies.
    pub loss: f64,
    /// Share of the step's examples, counted by their copies, that were recognised before the step.
    pub accuracy: f64,
    /// Examples of the step, whatever their copies; known here only.
    pub examples: usize,
    /// Share of the step's examples whose gradient was clipped.
    pub clipped: f64,
    /// How long the step took.
    pub step_time: Duration,
    /// ε spent over the model's life; `None` without a guarantee.
    pub epsilon: Option<Epsilon>,
    /// Bytes moved in this run.
    pub traffic: Traffic,
    /// CPU time of this side's threads in this run that checks of products took.
    pub check_cpu: Duration,
}

/// A finished training.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSummary {
    /// Steps done in this run.
    pub steps: u64,
    /// Whether the budget ended it before the planned steps were done.
    pub budget_exhausted: bool,
    /// Whether the averaged parameters became the model.
    pub averaged: bool,
    /// The model's version.
    pub version: u64,
    /// Slots processed, those of copies and of padding included: what the services were asked for.
    pub slots: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// ε spent over the model's life; `None` without a guarantee.
    pub epsilon: Option<Epsilon>,
    /// Bytes moved.
    pub traffic: Traffic,
}
