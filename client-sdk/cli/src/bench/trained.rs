//! A trained model at the trainer within a minute: trained in the clear, then stored by one step
//! that leads there.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use sphinx_client::data::Dataset;
use sphinx_client::{
    ClearTwin, ClientError, EncryptedSession, Evaluator, Protocol, SessionOptions, TrainingOptions,
    Update, train_without_ledger,
};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec, Schedule, TrainingRule};
use sphinx_proto::SessionId;

use super::training::Model;
use crate::defaults;
use crate::error::CliError;

/// Trains and makes the result the model's next version.
pub async fn store(
    model: &Model,
    spec: &NetworkSpec,
    data: Dataset,
    options: TrainingOptions,
) -> Result<(), CliError> {
    let plan = Plan::new(spec)?;
    let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(defaults::SEED));
    let (spec, from) = (spec.clone(), initial.clone());
    let train = move || train(&spec, &plan, from, &data, &options);
    let trained = blocking(train).await?;
    let rule = TrainingRule {
        optimizer: OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
        schedule: Schedule { peak: 1.0, decay: Decay::Constant, warmup: 0, total: 1 },
        averaging: None,
    };
    let options = SessionOptions {
        model_id: model.model_id.clone(),
        key_id: model.key_id.clone(),
        key: model.key.clone(),
        session_id: SessionId([1; 16]),
        rule,
        protocol: Protocol::default(),
    };
    let mut session = EncryptedSession::open(&model.client, options).await?;
    let pairs = || initial.iter().zip(&trained);
    let less = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a - b).collect();
    let update = Update {
        gradient: pairs().map(|(from, to)| less(&from.weights, &to.weights)).collect(),
        bias_gradient: pairs().map(|(from, to)| less(&from.biases, &to.biases)).collect(),
        adopts_average: false,
    };
    blocking(move || {
        let sealed = session.seal(0, &update, true)?;
        session.commit(0, &sealed, &update)
    })
    .await
}

fn train(
    spec: &NetworkSpec,
    plan: &Plan,
    parameters: Vec<StageParameters>,
    data: &Dataset,
    options: &TrainingOptions,
) -> Result<Vec<StageParameters>, ClientError> {
    let mut twin = ClearTwin::new(plan, parameters, options.rule(data.len())?)?;
    train_without_ledger(&mut twin, spec, data, options, [0; 32], &mut |_| true)?;
    Ok(twin.parameters().to_vec())
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, ClientError> + Send + 'static,
) -> Result<T, CliError> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| CliError::System(error.into()))??)
}
