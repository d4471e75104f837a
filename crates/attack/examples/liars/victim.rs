//! Somebody who trains through a lying trainer.

use std::error::Error;
use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_client::data::{Classes, Dataset};
use sphinx_client::{
    Checks, ClientError, Decay, Delta, Endpoints, KeyId, Memory, ModelId, ModelLedger, NetworkSpec,
    OptimizerSpec, Privacy, Profile, Protocol, RootKey, SphinxClient, TrainingOptions,
    TrainingRequest,
};
use sphinx_network::Shape;
use sphinx_testbed::liar::{LyingTrainer, Trick};
use sphinx_testbed::{Running, keyvault, trainer};
use tempfile::TempDir;

/// Services, a model, and a client that talks to the liar.
pub struct Victim {
    pub client: SphinxClient,
    key: Arc<RootKey>,
    dir: TempDir,
    _services: [Running; 2],
}

/// Expected size of private batches.
pub const BATCH: u64 = 1700;
/// Pixels of an image.
pub const PIXELS: usize = 64;

/// A network whose hidden layers have so many neurons.
pub fn network(hidden: [usize; 2]) -> Result<NetworkSpec, Box<dyn Error>> {
    let layers = hidden.map(|outputs| {
        format!("[[layers]]\nkind = \"dense\"\noutputs = {outputs}\n[[layers]]\nkind = \"tanh\"\n")
    });
    let text = format!(
        "name = \"victim\"\ninput = {{ channels = 1, height = 8, width = 8 }}\n{}\
         [[layers]]\nkind = \"dense\"\noutputs = 10\n",
        layers.concat()
    );
    Ok(NetworkSpec::from_toml(&text)?)
}

impl Victim {
    /// Trains `spec` on `examples` examples, by way of the trick.
    pub async fn new(
        spec: &NetworkSpec,
        examples: usize,
        trick: Trick,
    ) -> Result<Self, Box<dyn Error>> {
        let dir = tempfile::tempdir()?;
        let store = dir.path().join("store");
        std::fs::create_dir(&store)?;
        let store = store.display().to_string();
        let vault = keyvault(&store).await;
        let real = trainer(&store, &vault.url).await;
        let liar = LyingTrainer::start(&real.url, trick).await;
        let (trainer, keyvault) = (liar.url, vault.url.clone());
        let client = SphinxClient::new(&Endpoints { trainer, keyvault, ..Endpoints::default() })?;
        let key = Arc::new(RootKey::generate(&mut sphinx_client::secure_rng()));
        let (key_id, model_id) = names()?;
        client.register_key(&key_id, &key.identity(), "victim").await?;
        client.create_model(&model_id, &key_id, spec, 5).await?;
        ModelLedger::create(&dir.path().join("ledger"), "victim", examples, delta()?)?;
        Ok(Self { client, key, dir, _services: [vault, real] })
    }

    /// One step. Returns the version afterwards, or why there was no step.
    pub async fn step(
        &self,
        data: Dataset,
        (privacy, checks): (Privacy, Checks),
        seed: Option<[u8; 32]>,
    ) -> Result<Result<u64, ClientError>, Box<dyn Error>> {
        let (key_id, model_id) = names()?;
        let request = TrainingRequest {
            model_id,
            key_id,
            key: Arc::clone(&self.key),
            data: Arc::new(data),
            options: options(privacy),
            ledger: self.dir.path().join("ledger"),
            delta: delta()?,
            seed,
            // Whole words of four bytes: what is answered is written in them.
            protocol: Protocol {
                profile: Some(Profile::Glwe2048T32),
                checks,
                ..Protocol::default()
            },
            shards: NonZeroUsize::MIN,
            pipeline: None,
            memory: Memory::default(),
            account: None,
        };
        let trained = self.client.train_model(request, |_| false).await;
        Ok(trained.map(|summary| summary.version))
    }
}

fn names() -> Result<(KeyId, ModelId), Box<dyn Error>> {
    Ok((KeyId::parse("victim")?, ModelId::parse("victim")?))
}

/// δ of the ledger.
pub fn delta() -> Result<Delta, Box<dyn Error>> {
    Ok(Delta::new(1e-5)?)
}

fn options(privacy: Privacy) -> TrainingOptions {
    TrainingOptions {
        epochs: 1.0,
        blocks: 1,
        batch: match privacy {
            Privacy::None => None,
            Privacy::Budget { .. } | Privacy::ExactBiases { .. } => Some(BATCH),
        },
        optimizer: OptimizerSpec::Sgd { momentum: 0.0, nesterov: false },
        learning_rate: 0.1,
        decay: Decay::Constant,
        warmup: 0,
        averaging: None,
        augmentation: None,
        persons: None,
        privacy,
    }
}

/// Images of one brightness each, with labels in turn.
pub fn images(levels: &[u8]) -> Result<Dataset, Box<dyn Error>> {
    let pixels = levels.iter().flat_map(|&level| [level; PIXELS]).collect();
    let labels = (0..levels.len()).map(|index| (index % 10) as u8).collect();
    Ok(Dataset::new(pixels, labels, Shape::new(1, 8, 8), Classes::numbered(10))?)
}
