//! Trainings of this studio: those that run and those that ended.

use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use sphinx_client::workspace::{Estimate, Order, TrainingJob, Watcher};
use sphinx_client::{Progress, SphinxClient, TrainingRequest};

use crate::error::StudioError;
use crate::sets::Set;

/// A training.
pub struct Run {
    pub number: usize,
    pub order: Order,
    /// Name of its images in the studio.
    pub set: String,
    /// Whether that has images to choose among trainings by.
    pub validates: bool,
    pub estimate: Estimate,
    watcher: Watcher,
    state: Mutex<State>,
    result: Mutex<Option<String>>,
}

/// How a training stands.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub enum State {
    /// Under way.
    Running,
    /// Over.
    Done { text: String },
    /// Ended by an error.
    Failed { text: String },
}

/// A step as the browser's script has it.
#[derive(Debug, Serialize)]
pub struct Point {
    step: u64,
    steps: u64,
    epoch: f64,
    loss: f64,
    accuracy: f64,
    epsilon: Option<f64>,
    images_per_second: f64,
    bytes_up: u64,
    bytes_down: u64,
}

impl From<Progress> for Point {
    fn from(step: Progress) -> Self {
        Self {
            step: step.step,
            steps: step.steps,
            epoch: step.epoch,
            loss: step.loss,
            accuracy: step.accuracy,
            epsilon: step.epsilon.map(|epsilon| epsilon.proven()),
            images_per_second: step.examples as f64 / step.step_time.as_secs_f64().max(1e-9),
            bytes_up: step.traffic.up,
            bytes_down: step.traffic.down,
        }
    }
}

/// All trainings, the first one first.
#[derive(Default)]
pub struct Runs(Mutex<Vec<Arc<Run>>>);

impl Runs {
    /// Begins a training.
    pub fn start(
        &self,
        client: &SphinxClient,
        request: TrainingRequest,
        (order, set, estimate): (Order, &Set, Estimate),
    ) -> Arc<Run> {
        let job = TrainingJob::start(client, request);
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (number, watcher) = (runs.len() + 1, job.watcher());
        let state = Mutex::new(State::Running);
        let result = Mutex::default();
        let (set, validates) = (set.name.clone(), set.validation.is_some());
        let run = Run { number, order, set, validates, estimate, watcher, state, result };
        let run = Arc::new(run);
        runs.push(Arc::clone(&run));
        let ended = Arc::clone(&run);
        tokio::spawn(async move {
            let state = match job.finish().await {
                Ok(trained) => {
                    let (version, steps) = (trained.summary.version, trained.summary.steps);
                    let spent =
                        if trained.summary.budget_exhausted { "; the budget is spent" } else { "" };
                    let text = format!("{steps} steps, the model is at version {version}{spent}");
                    State::Done { text }
                }
                Err(error) => State::Failed { text: StudioError::from(error).text() },
            };
            *ended.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        });
        run
    }

    /// All of them.
    pub fn all(&self) -> Vec<Arc<Run>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// One of them.
    pub fn get(&self, number: usize) -> Result<Arc<Run>, StudioError> {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let run = number.checked_sub(1).and_then(|index| runs.get(index));
        let missing = || StudioError::Missing { what: "training", name: number.to_string() };
        run.cloned().ok_or_else(missing)
    }

    /// Whether a model is being trained.
    pub fn is_busy(&self, model: &str) -> bool {
        self.all()
            .iter()
            .any(|run| run.order.model_id.as_str() == model && run.state() == State::Running)
    }
}

impl Run {
    /// How it stands.
    pub fn state(&self) -> State {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What its model made of the images that were held back, once that was asked for.
    pub fn result(&self) -> Option<String> {
        self.result.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Keeps that for the page.
    pub fn keep_result(&self, text: String) {
        *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(text);
    }

    /// All steps from the first on.
    pub fn watcher(&self) -> Watcher {
        self.watcher.clone()
    }

    /// Ends it after the step at hand.
    pub fn stop(&self) {
        self.watcher.stop();
    }
}
