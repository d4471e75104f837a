//! A tool of the lab, not a pattern to copy.
//!
//! The same training twice, encrypted through real services and on the clear-text twin, with the
//! same initial weights and the same batches; prints both test accuracies.
//!
//! ```sh
//! cargo build --release --bin sphinx
//! cargo run --release -p sphinx-client --example twin -- [NETWORK] [EPOCHS] [SEED]
//! ```

use std::error::Error;
use std::sync::Arc;

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_client::data::{Dataset, TrainTest};
use sphinx_client::{
    ClearTwin, EncryptedSession, Endpoints, KeyId, ModelId, Privacy, Progress, Protocol,
    SessionOptions, SphinxClient, TrainingOptions, train_without_ledger,
};
use sphinx_cluster::{ClusterOptions, LocalCluster};
use sphinx_network::{NetworkSpec, Plan, StageParameters, initial_parameters};
use sphinx_optimizer::{Decay, OptimizerSpec};
use sphinx_proto::SessionId;
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};
use sphinx_secret::RootKey;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let network = arguments.first().map_or("sphinx-mnist", String::as_str);
    let epochs = arguments.get(1).map_or(Ok(10.0), |text| text.parse())?;
    let seed: u64 = arguments.get(2).map_or(Ok(1), |text| text.parse())?;
    let spec = NetworkSpec::builtin(network).ok_or("no such network")?;
    let TrainTest { train: data, test } = sphinx_mnist::load()?;
    let options = TrainingOptions {
        epochs,
        blocks: 1,
        batch: None,
        optimizer: OptimizerSpec::ADAM,
        learning_rate: 0.02,
        decay: Decay::Cosine { floor: 0.05 },
        warmup: 20,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::None,
    };
    let encrypted = encrypted(&spec, &data, &options, seed).await?;
    println!("encrypted  {:.4}", accuracy(&spec, &encrypted, &test)?);
    let clear = clear(&spec, &data, &options, seed)?;
    println!("clear      {:.4}", accuracy(&spec, &clear, &test)?);
    Ok(())
}

async fn encrypted(
    spec: &NetworkSpec,
    data: &Dataset,
    options: &TrainingOptions,
    seed: u64,
) -> Result<Vec<StageParameters>, Box<dyn Error>> {
    let cluster = LocalCluster::start(ClusterOptions::find_command()?).await?;
    let client = SphinxClient::new(&Endpoints {
        trainer: cluster.trainer.to_string(),
        inference: cluster.inference.to_string(),
        keyvault: cluster.keyvault.to_string(),
        ..Endpoints::default()
    })?;
    let key = Arc::new(RootKey::generate(&mut sphinx_client::secure_rng()));
    let (key_id, model_id) = (KeyId::parse("twin")?, ModelId::parse("twin")?);
    client.register_key(&key_id, &key.identity(), "twin").await?;
    client.create_model(&model_id, &key_id, spec, seed).await?;
    let rule = options.rule(data.len())?;
    let session = SessionOptions {
        model_id: model_id.clone(),
        key_id,
        key: Arc::clone(&key),
        session_id: SessionId([1; 16]),
        rule,
        protocol: Protocol::default(),
    };
    let mut session = EncryptedSession::open(&client, session).await?;
    let (spec, data, options) = (spec.clone(), data.clone(), options.clone());
    let trained = tokio::task::spawn_blocking(move || {
        train_without_ledger(&mut session, &spec, &data, &options, batches(seed), &mut report)
    });
    trained.await??;
    let parameters = client.export_model(&model_id, &key).await?.stages;
    cluster.shutdown().await?;
    Ok(parameters)
}

fn clear(
    spec: &NetworkSpec,
    data: &Dataset,
    options: &TrainingOptions,
    seed: u64,
) -> Result<Vec<StageParameters>, Box<dyn Error>> {
    let plan = Plan::new(spec)?;
    let initial = initial_parameters(&plan, &mut ChaCha20Rng::seed_from_u64(seed));
    let mut twin = ClearTwin::new(&plan, initial, options.rule(data.len())?)?;
    train_without_ledger(&mut twin, spec, data, options, batches(seed), &mut report)?;
    Ok(twin.parameters().to_vec())
}

fn batches(seed: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    bytes
}

fn report(progress: &Progress) -> bool {
    if progress.step.is_multiple_of(50) {
        println!("  step {}/{}: loss {:.4}", progress.step, progress.steps, progress.loss);
    }
    true
}

/// Test accuracy of the quantised network, which encrypted recognition equals.
fn accuracy(
    spec: &NetworkSpec,
    parameters: &[StageParameters],
    test: &Dataset,
) -> Result<f64, Box<dyn Error>> {
    let plan = Plan::new(spec)?;
    let network =
        QuantisedNetwork::new(&plan, parameters, spec.bias_bound, DEFAULT_ACTIVATION_BITS)?;
    let correct = |index: usize| -> Option<usize> {
        let logits = network.classify(&test.pixels(index)?).ok()?;
        let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?.0;
        Some(usize::from(best == usize::from(*test.labels().get(index)?)))
    };
    let correct: usize = (0..test.len()).into_par_iter().filter_map(correct).sum();
    Ok(correct as f64 / test.len() as f64)
}
