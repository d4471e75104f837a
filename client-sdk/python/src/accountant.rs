//! Accounting for differential privacy without any training.

use pyo3::prelude::*;
use sphinx_client::{ClientError, Delta, Target};
use sphinx_privacy::{NoiseMultiplier, PlanError, PlanRequest, PrivacyPlan, SamplingRate, Segment};

use crate::error::Failure;

/// What an accountant states: proven, by loss distributions, by Rényi divergences, classical.
type Bounds = (f64, Option<f64>, f64, f64);

/// Adds up what noisy steps spend.
#[pyclass(name = "Accountant")]
pub struct Accountant(sphinx_privacy::Accountant);

#[pymethods]
impl Accountant {
    #[new]
    fn new() -> Self {
        Self(sphinx_privacy::Accountant::new())
    }

    /// Adds steps that were fixed in advance.
    #[pyo3(signature = (sampling_rate, noise_multiplier, steps))]
    fn compose(&mut self, sampling_rate: f64, noise_multiplier: f64, steps: u64) -> PyResult<()> {
        let wrong = |error| Failure::from(ClientError::from(PlanError::from(error)));
        let segment = Segment {
            sampling_rate: SamplingRate::new(sampling_rate).map_err(wrong)?,
            noise_multiplier: NoiseMultiplier::new(noise_multiplier).map_err(wrong)?,
            steps,
            overflow_probability: 0.0,
        };
        let composed = self.0.compose(&segment);
        composed.map_err(|error| Failure::from(ClientError::from(error)).into())
    }

    /// ε at δ by every accountant, the proven one first.
    #[pyo3(signature = (delta=1e-5))]
    fn epsilon(&self, python: Python<'_>, delta: f64) -> PyResult<Bounds> {
        let delta = checked_delta(delta)?;
        let epsilon = python.detach(|| self.0.epsilon(delta));
        let epsilon = epsilon.map_err(|error| Failure::from(ClientError::from(error)))?;
        Ok((epsilon.proven(), epsilon.pld, epsilon.rdp, epsilon.classical))
    }
}

/// Steps, sampling rate, noise multiplier and ε of a training before it begins.
#[pyfunction]
#[pyo3(signature = (examples, epsilon, epochs, delta=1e-5, blocks=1))]
pub fn plan(
    python: Python<'_>,
    examples: u64,
    epsilon: f64,
    epochs: f64,
    delta: f64,
    blocks: u64,
) -> PyResult<(u64, f64, f64, f64)> {
    let wrong = |error| Failure::from(ClientError::from(PlanError::from(error)));
    let target = Target::new(epsilon, checked_delta(delta)?).map_err(wrong)?;
    let request = PlanRequest { target, examples, expected_batch: None, blocks, copies: 1, epochs };
    let plan = python.detach(|| PrivacyPlan::solve(&request));
    let plan = plan.map_err(|error| Failure::from(ClientError::from(error)))?;
    let segment = &plan.segment;
    let (rate, noise) = (segment.sampling_rate.get(), segment.noise_multiplier.get());
    Ok((segment.steps, rate, noise, plan.epsilon.proven()))
}

pub fn checked_delta(delta: f64) -> PyResult<Delta> {
    let wrong = |error| Failure::from(ClientError::from(PlanError::from(error)));
    Ok(Delta::new(delta).map_err(wrong)?)
}
