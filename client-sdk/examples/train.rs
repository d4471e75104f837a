//! Trains a network on MNIST under differential privacy and tests it, on services that see no
//! image, label, activation or prediction. Start the services first (README), then:
//!
//! `cargo run --release -p sphinx-client --example train -- [NETWORK] [EPOCHS]`
//!
//! Keys and the privacy ledger stay in `SPHINX_HOME`, or `sphinx-home` in the working directory.
//! Run again, it trains the model further, within the same budget.

use std::error::Error;
use std::sync::Arc;

use sphinx_client::data::TrainTest;
use sphinx_client::workspace::{AskedModel, NewModel};
use sphinx_client::{
    Decay, Delta, Endpoints, KeyId, ModelId, NetworkSpec, OptimizerSpec, Privacy, PrivacyUnit,
    Target, TrainingOptions, Workspace,
};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_else(|| "sphinx-mnist".to_owned());
    let epochs = arguments.next().map_or(Ok(10.0), |text| text.parse())?;
    let home = std::env::var_os("SPHINX_HOME").unwrap_or_else(|| "sphinx-home".into());
    let workspace = Workspace::open(&Endpoints::from_environment()?, home.into())?;

    // The secret key stays here; what is registered lets the services compute and not decrypt.
    let key = KeyId::parse("example")?;
    if !workspace.home().key_ids()?.contains(&key) {
        workspace.make_key(Some(key.clone()), None)?;
    }
    workspace.register_key(&key, "of the examples").await?;

    let TrainTest { train, test } = sphinx_mnist::load()?;
    let (model_id, delta) = (ModelId::parse(name.as_str())?, Delta::new(1e-5)?);
    let model = match workspace.find_model(&model_id, AskedModel::default()).await? {
        Some(model) => model,
        None => {
            let network = NetworkSpec::builtin(&name).ok_or("no built-in network of that name")?;
            let units = (PrivacyUnit::Example, train.len());
            let (key, pipeline) = (&key, None);
            let new = NewModel { network: &network, key, seed: 1, units, delta, pipeline };
            workspace.create_model(&model_id, new).await?
        }
    };

    let options = TrainingOptions {
        epochs,
        blocks: 1,
        batch: None,
        optimizer: OptimizerSpec::Sgd { momentum: 0.9, nesterov: false },
        learning_rate: 24.0,
        decay: Decay::Cosine { floor: 0.05 },
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy: Privacy::Budget { target: Target::new(3.0, delta)?, clipping_norm: 0.1 },
    };
    let show = |step: &sphinx_client::Progress| {
        println!("step {}/{}: loss {:.3}", step.step, step.steps, step.loss);
        true
    };
    let trained = workspace.train(&model, Arc::new(train), options, show).await?;
    let tested = workspace.evaluate(&model_id, &test, |_| ()).await?;
    let epsilon = trained.summary.epsilon.map_or(f64::NAN, |epsilon| epsilon.proven());
    println!("{:.2} % of the test images, epsilon {epsilon:.3}", tested.accuracy * 100.0);
    Ok(())
}
