//! Training, with a Python function that is told of every step.

use std::num::NonZeroUsize;
use std::sync::Arc;

use pyo3::prelude::*;
use pyo3::types::PyDict;
use serde_json::json;
use sphinx_client::recipe::Recipe;
use sphinx_client::workspace::{Order, OrderedNetwork, Trained, TrainingJob, Watcher};
use sphinx_client::{Progress, WorkspaceError};

use crate::accountant::checked_delta;
use crate::client::{NativeClient, named};
use crate::data::{Sides, dataset, network as parsed};
use crate::error::Failure;
use crate::waiting::{runtime, wait, within};

/// Trains a model, a new one or further, and returns what it came to as JSON. `network` is
/// empty, TOML, or `builtin:` or `recipe:` and a name. `told` is called with a dict after every
/// step, and once before the first with the estimate as JSON.
#[pyfunction]
#[pyo3(signature = (client, model, levels, labels, shape, classes, *, network, private, epsilon, delta,
                        epochs, seed, data_name, shards, told))]
#[expect(clippy::too_many_arguments, reason = "keywords in Python")]
pub fn train(
    python: Python<'_>,
    client: &NativeClient,
    model: &str,
    levels: &[u8],
    labels: &[u8],
    shape: Sides,
    classes: Vec<String>,
    network: &str,
    private: bool,
    epsilon: Option<f64>,
    delta: Option<f64>,
    epochs: Option<f64>,
    seed: Option<u64>,
    data_name: Option<String>,
    shards: NonZeroUsize,
    told: Bound<'_, PyAny>,
) -> PyResult<String> {
    let (set, pipeline) = dataset((levels, labels), shape, classes)?;
    let order = Order {
        model_id: named(model)?,
        network: ordered(network)?,
        private,
        epsilon,
        delta: delta.map(checked_delta).transpose()?,
        epochs,
        seed,
        data_name,
        shards,
    };
    let workspace = client.workspace.clone();
    let (client, images) = (workspace.client().clone(), Arc::new(set));
    let ready =
        wait(
            python,
            async move { Box::pin(workspace.prepare(&order, &pipeline, (images, 0))).await },
        )?;
    told.call1((serde_json::to_string(&ready.estimate).unwrap_or_default(),))?;
    let job = {
        let _inside = runtime()?.enter();
        TrainingJob::start(&client, ready.request)
    };
    let watched = watch(python, job.watcher(), &told);
    if watched.is_err() {
        job.stop();
    }
    // The step at hand is brought to its end, so that nothing is spent in vain.
    let trained = wait(python, job.finish())?;
    watched.map(|()| summary(&trained))
}

fn ordered(network: &str) -> Result<OrderedNetwork, Failure> {
    if network.is_empty() {
        return Ok(OrderedNetwork::Automatic);
    }
    if let Some(recipe) = network.strip_prefix("recipe:") {
        let recipe = Recipe::load(recipe).map_err(WorkspaceError::from)?;
        return Ok(OrderedNetwork::Recipe(Box::new(recipe)));
    }
    Ok(OrderedNetwork::Network(Box::new(parsed(network)?)))
}

/// Tells of every step until the training is over, Ctrl-C was pressed, or who is told fails.
fn watch(python: Python<'_>, mut steps: Watcher, told: &Bound<'_, PyAny>) -> PyResult<()> {
    loop {
        match within(python, runtime()?, steps.next()) {
            Some(None) => return Ok(()),
            Some(Some(step)) => told.call1((described(python, &step)?,)).map(drop)?,
            None => {}
        }
        python.check_signals()?;
    }
}

fn described<'py>(python: Python<'py>, step: &Progress) -> PyResult<Bound<'py, PyDict>> {
    let told = PyDict::new(python);
    told.set_item("step", step.step)?;
    told.set_item("steps", step.steps)?;
    told.set_item("epoch", step.epoch)?;
    told.set_item("loss", step.loss)?;
    told.set_item("accuracy", step.accuracy)?;
    told.set_item("images", step.examples)?;
    told.set_item("clipped", step.clipped)?;
    told.set_item("seconds", step.step_time.as_secs_f64())?;
    told.set_item("epsilon", step.epsilon.map(|epsilon| epsilon.proven()))?;
    told.set_item("bytes_up", step.traffic.up)?;
    told.set_item("bytes_down", step.traffic.down)?;
    Ok(told)
}

fn summary(trained: &Trained) -> String {
    let Trained { summary, epochs, history, images } = trained;
    json!({
        "version": summary.version,
        "steps": summary.steps,
        "epochs": epochs,
        "images": images,
        "seconds": summary.elapsed.as_secs_f64(),
        "epsilon": summary.epsilon.map(|epsilon| epsilon.proven()),
        "budget_exhausted": summary.budget_exhausted,
        "averaged": summary.averaged,
        "bytes_up": summary.traffic.up,
        "bytes_down": summary.traffic.down,
        "history": history,
    })
    .to_string()
}
