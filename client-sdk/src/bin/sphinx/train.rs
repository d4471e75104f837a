//! `sphinx train`: trains a model, a new one or further.

mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sphinx_client::{ClientError, KeyId, ModelId, TrainingRequest};
use sphinx_network::NetworkSpec;
use sphinx_privacy::Delta;
use sphinx_privacy::ledger::Ledger;
use sphinx_proto::v1::Model;
use tonic::Code;

use crate::data::DataArgs;
use crate::error::CliError;
use crate::home::fingerprint;
use crate::recipe::{RecipeArgs, default_delta};
use crate::session::Session;
use crate::training;
use crate::{defaults, network};

use summary::Summary;

/// Train a model, a new one or further
#[derive(Debug, Args)]
pub struct Train {
    /// A built-in network or a TOML file [default: sphinx-mnist, or the model's]
    #[arg(long, value_name = "NAME|FILE")]
    network: Option<String>,
    /// The model; created if there is none of that name [default: the network's name]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// The key of a new model [default: the only one there is]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Seed of a new model's random weights
    #[arg(long, value_name = "N", default_value_t = defaults::SEED)]
    seed: u64,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    recipe: RecipeArgs,
}

/// A model that can be trained.
struct Prepared {
    model_id: ModelId,
    key_id: KeyId,
    ledger: PathBuf,
    delta: Delta,
}

impl Train {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        // Wrong options show before anything is made.
        self.recipe.options(defaults::EPOCHS, default_delta()?)?;
        if let Some(warning) = self.recipe.warning() {
            eprintln!("{warning}\n");
        }
        let (images, _) = self.data.load()?;
        let examples = images.len();
        let prepared = session.interrupt.guard(self.prepare(session, examples)).await?;
        let Prepared { model_id, key_id, ledger, delta } = prepared;
        let request = TrainingRequest {
            model_id: model_id.clone(),
            key: Arc::new(session.home.key(&key_id)?),
            key_id,
            data: Arc::new(images),
            options: self.recipe.options(defaults::EPOCHS, delta)?,
            ledger,
            delta,
        };
        let trained =
            training::run(&session.client, request, session.output, &session.interrupt).await?;
        let summary = Summary::new(&model_id, delta, &trained);
        session.output.result(&summary, || summary::text(&model_id, delta, &trained))?;
        if trained.interrupted { Err(CliError::Interrupted) } else { Ok(()) }
    }

    /// Finds the model, or makes it with its ledger.
    async fn prepare(&self, session: &Session, examples: usize) -> Result<Prepared, CliError> {
        let spec = self.network.as_deref().map(network::load).transpose()?;
        let model_id = match (&self.model, &spec) {
            (Some(id), _) => ModelId::parse(id.as_str())?,
            (None, Some(spec)) => ModelId::parse(spec.name.as_str())?,
            (None, None) => ModelId::parse(defaults::NETWORK)?,
        };
        match session.client.model(&model_id).await {
            Ok(model) => self.existing(session, model_id, model, spec),
            Err(ClientError::Refused { code: Code::NotFound, .. }) => {
                let spec = spec.map_or_else(|| network::load(defaults::NETWORK), Ok)?;
                self.create(session, model_id, &spec, examples).await
            }
            Err(error) => Err(error.into()),
        }
    }

    fn existing(
        &self,
        session: &Session,
        model_id: ModelId,
        model: Model,
        spec: Option<NetworkSpec>,
    ) -> Result<Prepared, CliError> {
        let other = |what, got: &str, expected: &str| CliError::OtherModel {
            model: model_id.to_string(),
            what,
            got: got.to_owned(),
            expected: expected.to_owned(),
        };
        let network = model.network.map(NetworkSpec::try_from).transpose()?;
        if let (Some(got), Some(expected)) = (&network, &spec)
            && got != expected
        {
            return Err(other("network", &got.name, &expected.name));
        }
        if let Some(expected) = self.key.as_deref().filter(|key| *key != model.key_id) {
            return Err(other("key", &model.key_id, expected));
        }
        let key_id = KeyId::parse(model.key_id)?;
        let ledger = session.home.ledger(&session.tenant, &model_id);
        let delta = match self.recipe.delta() {
            Some(delta) => delta,
            None => Ledger::open_model(&ledger, model_id.as_str())?.binding().delta,
        };
        Ok(Prepared { model_id, key_id, ledger, delta })
    }

    async fn create(
        &self,
        session: &Session,
        model_id: ModelId,
        spec: &NetworkSpec,
        examples: usize,
    ) -> Result<Prepared, CliError> {
        let key_id = session.choose_key(self.key.as_deref())?;
        check_registration(session, &key_id).await?;
        let delta = self.recipe.delta().map_or_else(default_delta, Ok)?;
        let ledger = session.home.ledger(&session.tenant, &model_id);
        // The ledger first: a model without one could never be trained.
        session.home.create_ledger(&ledger, &model_id, examples, delta)?;
        session.client.create_model(&model_id, &key_id, spec, self.seed).await?;
        let name = &spec.name;
        session.output.note(&format!("model {model_id} made: network {name}, key {key_id}"))?;
        Ok(Prepared { model_id, key_id, ledger, delta })
    }
}

/// Whether the key vault has what is registered of this key.
async fn check_registration(session: &Session, key_id: &KeyId) -> Result<(), CliError> {
    let expected = fingerprint(&session.home.material(key_id)?).to_string();
    match session.client.key(key_id).await {
        Ok(key) if key.fingerprint == expected => Ok(()),
        Ok(key) => {
            let (id, got) = (key_id.to_string(), key.fingerprint);
            Err(CliError::OtherMaterial { id, got, expected })
        }
        Err(ClientError::Refused { code: Code::NotFound, .. }) => {
            Err(CliError::NotRegistered { id: key_id.to_string() })
        }
        Err(error) => Err(error.into()),
    }
}
