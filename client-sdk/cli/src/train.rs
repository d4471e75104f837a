//! `sphinx train`: trains a model, a new one or further.

mod summary;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use sphinx_client::recipe::Recipe;
use sphinx_client::{ClientError, KeyId, ModelId, TrainingOptions, TrainingRequest};
use sphinx_network::NetworkSpec;
use sphinx_privacy::ledger::Ledger;
use sphinx_privacy::{Delta, Target};
use sphinx_proto::v1::Model;
use tonic::Code;

use crate::data::DataArgs;
use crate::error::CliError;
use crate::home::fingerprint;
use crate::promise::Promise;
use crate::recipe::{RecipeArgs, Setting, default_delta, warning};
use crate::session::Session;
use crate::training;
use crate::{defaults, network};

use summary::Summary;

/// Train a model, a new one or further
#[derive(Debug, Args)]
pub struct Train {
    /// Follow a built-in recipe or one in a TOML file; options given beside it override it
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// A built-in network or a TOML file [default: the recipe's, the model's or sphinx-mnist]
    #[arg(long, value_name = "NAME|FILE")]
    network: Option<String>,
    /// The model; created if there is none of that name [default: the name of the recipe or network]
    #[arg(long, value_name = "ID")]
    model: Option<String>,
    /// The key of a new model [default: the only one there is]
    #[arg(long, value_name = "ID")]
    key: Option<String>,
    /// Seed of a new model's random weights [default: the recipe's first, or 1]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    #[command(flatten)]
    data: DataArgs,
    #[command(flatten)]
    options: RecipeArgs,
}

/// A recipe, and what it says of itself.
struct Followed {
    recipe: Recipe,
    options: TrainingOptions,
    delta: Option<Delta>,
}

/// A model that can be trained.
struct Prepared {
    model_id: ModelId,
    key_id: KeyId,
    ledger: PathBuf,
    delta: Delta,
    /// ε that it was last trained within.
    budget: Option<f64>,
}

impl Train {
    pub async fn run(&self, session: &Session) -> Result<(), CliError> {
        let followed = self.recipe.as_deref().map(Followed::load).transpose()?;
        let followed = followed.as_ref();
        // Wrong options show before anything is made.
        let setting = Setting {
            epochs: defaults::EPOCHS,
            delta: default_delta()?,
            examples: None,
            budget: None,
        };
        self.options(followed, &setting)?;
        let spec = self.spec(followed)?;
        let (images, _) = self.data.load()?;
        let examples = images.len();
        let setting = Setting { examples: Some(examples), ..setting };
        let options = self.options(followed, &setting)?;
        options.preview(examples)?;
        if let Some(warning) = warning(&options.privacy) {
            eprintln!("{warning}\n");
        }
        let preparation = self.prepare(session, spec, followed, examples);
        let Prepared { model_id, key_id, ledger, delta, budget } =
            session.interrupt.guard(preparation).await?;
        let options = self.options(followed, &Setting { delta, budget, ..setting })?;
        if let Some(followed) = followed {
            session.output.note(&self.promise(followed, &options, examples)?.text())?;
        }
        let request = TrainingRequest {
            model_id: model_id.clone(),
            key: Arc::new(session.home.key(&key_id)?),
            key_id,
            data: Arc::new(images),
            options,
            ledger,
            delta,
        };
        let trained =
            training::run(&session.client, request, session.output, &session.interrupt).await?;
        let recipe = followed.map(|followed| &followed.recipe);
        let summary = Summary::new(&model_id, recipe, delta, &trained);
        session.output.result(&summary, || summary::text(&model_id, recipe, delta, &trained))?;
        if trained.interrupted { Err(CliError::Interrupted) } else { Ok(()) }
    }

    fn options(
        &self,
        followed: Option<&Followed>,
        setting: &Setting,
    ) -> Result<TrainingOptions, CliError> {
        self.options.over(followed.map(|followed| &followed.options), setting)
    }

    /// The network asked for, if any was.
    fn spec(&self, followed: Option<&Followed>) -> Result<Option<NetworkSpec>, CliError> {
        match (&self.network, followed) {
            (Some(name), _) => Ok(Some(network::load(name)?)),
            (None, Some(followed)) => Ok(Some(followed.recipe.spec()?)),
            (None, None) => Ok(None),
        }
    }

    /// What is about to start, within the model's budget. Published figures are told of the recipe as it is, not of what options made of it.
    fn promise(
        &self,
        followed: &Followed,
        options: &TrainingOptions,
        examples: usize,
    ) -> Result<Promise, CliError> {
        let Recipe { name, published, .. } = &followed.recipe;
        let unchanged = self.network.is_none() && *options == followed.options;
        Promise::new(name, options, published.filter(|_| unchanged), examples)
    }

    /// Finds the model, or makes it with its ledger.
    async fn prepare(
        &self,
        session: &Session,
        spec: Option<NetworkSpec>,
        followed: Option<&Followed>,
        examples: usize,
    ) -> Result<Prepared, CliError> {
        let model_id = match (&self.model, followed, &spec) {
            (Some(id), _, _) => ModelId::parse(id.as_str())?,
            (None, Some(followed), _) => ModelId::parse(followed.recipe.name.as_str())?,
            (None, None, Some(spec)) => ModelId::parse(spec.name.as_str())?,
            (None, None, None) => ModelId::parse(defaults::NETWORK)?,
        };
        let delta = self.options.delta().or(followed.and_then(|followed| followed.delta));
        match session.client.model(&model_id).await {
            Ok(model) => self.existing(session, model_id, model, spec, delta),
            Err(ClientError::Refused { code: Code::NotFound, .. }) => {
                let spec = spec.map_or_else(|| network::load(defaults::NETWORK), Ok)?;
                let recipes = followed.and_then(|followed| followed.recipe.seeds.first().copied());
                let seed = self.seed.or(recipes).unwrap_or(defaults::SEED);
                let delta = delta.map_or_else(default_delta, Ok)?;
                self.create(session, model_id, &spec, seed, examples, delta).await
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
        delta: Option<Delta>,
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
        let kept = Ledger::open_model(&ledger, model_id.as_str())?;
        let delta = delta.unwrap_or(kept.binding().delta);
        let budget = kept.target().map(Target::epsilon);
        Ok(Prepared { model_id, key_id, ledger, delta, budget })
    }

    async fn create(
        &self,
        session: &Session,
        model_id: ModelId,
        spec: &NetworkSpec,
        seed: u64,
        examples: usize,
        delta: Delta,
    ) -> Result<Prepared, CliError> {
        let key_id = session.choose_key(self.key.as_deref())?;
        check_registration(session, &key_id).await?;
        let ledger = session.home.ledger(&session.tenant, &model_id);
        // The ledger first: a model without one could never be trained.
        session.home.create_ledger(&ledger, &model_id, examples, delta)?;
        session.client.create_model(&model_id, &key_id, spec, seed).await?;
        let name = &spec.name;
        session.output.note(&format!("model {model_id} made: network {name}, key {key_id}"))?;
        Ok(Prepared { model_id, key_id, ledger, delta, budget: None })
    }
}

impl Followed {
    fn load(name: &str) -> Result<Self, CliError> {
        let recipe = Recipe::load(name)?;
        let (options, delta) = (recipe.options()?, recipe.delta()?);
        Ok(Self { recipe, options, delta })
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
