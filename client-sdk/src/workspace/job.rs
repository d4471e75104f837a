//! A training in the background, which several may watch and anybody may stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::client::SphinxClient;
use crate::error::ClientError;
use crate::training::{Progress, TrainingRequest};
use crate::workspace::training::{Trained, train_with_history};

/// A training that runs on the current tokio runtime. Dropped, it ends after the step at hand, as
/// if it was stopped.
#[derive(Debug)]
pub struct TrainingJob {
    shared: Arc<Shared>,
    task: JoinHandle<Result<Trained, ClientError>>,
}

/// Steps of a training, each once and from the first one, however late somebody begins to watch.
#[derive(Debug, Clone)]
pub struct Watcher {
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
    seen: usize,
}

#[derive(Debug)]
struct Shared {
    steps: Mutex<Vec<Progress>>,
    state: watch::Sender<State>,
    stop: AtomicBool,
    most: usize,
}

#[derive(Debug, Clone, Copy, Default)]
struct State {
    steps: usize,
    ended: bool,
}

impl TrainingJob {
    /// Begins to train.
    pub fn start(client: &SphinxClient, request: TrainingRequest) -> Self {
        Self::for_steps(client, request, usize::MAX)
    }

    /// Begins to train, and ends after so many steps, as if it was stopped then.
    pub fn for_steps(client: &SphinxClient, request: TrainingRequest, most: usize) -> Self {
        let shared = Arc::new(Shared {
            steps: Mutex::default(),
            state: watch::Sender::new(State::default()),
            stop: AtomicBool::new(false),
            most,
        });
        let (client, noted) = (client.clone(), Arc::clone(&shared));
        let task = tokio::spawn(async move {
            let ended = Ended(Arc::clone(&noted));
            let progress = move |progress: &Progress| noted.note(progress);
            let trained = Box::pin(train_with_history(&client, request, progress)).await;
            drop(ended);
            trained
        });
        Self { shared, task }
    }

    /// Somebody who is told of every step.
    pub fn watcher(&self) -> Watcher {
        let state = self.shared.state.subscribe();
        Watcher { shared: Arc::clone(&self.shared), state, seen: 0 }
    }

    /// Ends the training after the step at hand: what it committed stays, and the same training
    /// goes on from there when it is asked for again.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }

    /// Whether it is over.
    pub fn is_over(&self) -> bool {
        self.shared.state.borrow().ended
    }

    /// Waits until it is over, and says what it came to.
    ///
    /// # Errors
    /// As [`SphinxClient::train_model`]; [`ClientError::Task`] if its task panicked.
    pub async fn finish(mut self) -> Result<Trained, ClientError> {
        let done = (&mut self.task).await;
        done.unwrap_or_else(|error| Err(ClientError::Task { cause: error.to_string() }))
    }
}

impl Drop for TrainingJob {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Watcher {
    /// The next step; waits for it. `None` once the training is over and all were told.
    pub async fn next(&mut self) -> Option<Progress> {
        loop {
            let state = *self.state.borrow_and_update();
            if self.seen < state.steps {
                let steps = self.shared.steps.lock().unwrap_or_else(PoisonError::into_inner);
                let step = steps.get(self.seen).cloned();
                self.seen += 1;
                return step;
            }
            if state.ended || self.state.changed().await.is_err() {
                return None;
            }
        }
    }

    /// As [`TrainingJob::stop`].
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    /// Whether to go on.
    fn note(&self, progress: &Progress) -> bool {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        steps.push(progress.clone());
        let count = steps.len();
        drop(steps);
        self.state.send_modify(|state| state.steps = count);
        count < self.most && !self.stop.load(Ordering::Relaxed)
    }
}

/// Tells watchers of the end, also where the task panics.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.state.send_modify(|state| state.ended = true);
    }
}
