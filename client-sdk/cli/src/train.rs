//! `sphinx train`: trains a model, a new one or further.

pub mod flags;
mod persons;
mod summary;

use std::sync::Arc;

use clap::Args;
use sphinx_client::recipe::Recipe;
use sphinx_client::workspace::{AskedModel, NewModel, TrainableModel};
use sphinx_client::{ClientError, KeyId, ModelId, PrivacyUnit, TrainingOptions};
use sphinx_network::NetworkSpec;
use sphinx_privacy::Delta;

use crate::context::Context;
use crate::data::DataArgs;
use crate::error::CliError;
use crate::promise::Promise;
use crate::train::flags::{Setting, TrainingFlags, default_delta, warning};
use crate::train::persons::PersonFlags;
use crate::training::{self, Ended};
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
    /// The model; created if there is none of that name [default: the name of the recipe or
    /// network]
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
    /// Name of the images in `sphinx privacy data` [default: mnist, or that of the directory]
    #[arg(long, value_name = "NAME")]
    data_name: Option<String>,
    #[command(flatten)]
    unit: PersonFlags,
    #[command(flatten)]
    options: TrainingFlags,
}

/// A recipe, and what it says of itself.
struct Followed {
    recipe: Recipe,
    options: TrainingOptions,
    delta: Option<Delta>,
}

impl Train {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
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
        let persons = self.unit.load()?;
        let images = self.data.load()?.train;
        let examples = images.len();
        let setting = Setting { examples: Some(examples), ..setting };
        let mut options = self.options(followed, &setting)?;
        options.persons.clone_from(&persons);
        options.resolve(examples)?;
        let units = (options.unit(), options.units(examples).map_err(ClientError::from)?);
        if let Some(warning) = warning(&options.privacy) {
            eprintln!("{warning}\n");
        }
        let preparation = self.prepare(context, spec, followed, units);
        let model = context.interrupt.guard(preparation).await?;
        let TrainableModel { model_id, delta, budget, .. } = &model;
        let (delta, budget) = (*delta, *budget);
        let mut options = self.options(followed, &Setting { delta, budget, ..setting })?;
        options.persons = persons;
        if let Some(followed) = followed {
            context.output.note(&self.promise(followed, &options, examples)?.text())?;
        }
        let mut request = context.workspace.training_request(&model, Arc::new(images), options)?;
        if let Some(account) = &mut request.account {
            account.name = Some(self.data_name.clone().unwrap_or_else(|| self.data.name()));
        }
        let (client, output) = (context.workspace.client(), context.output);
        let Ended { trained, interrupted } =
            training::run(client, request, output, &context.interrupt).await?;
        let recipe = followed.map(|followed| &followed.recipe);
        let summary = Summary::new(model_id, recipe, delta, &trained, interrupted);
        output.result(&summary, || summary::text(model_id, recipe, delta, &trained))?;
        if interrupted { Err(CliError::Interrupted) } else { Ok(()) }
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

    /// What is about to start, within the model's budget. Published figures are told of the recipe
    /// as it is, not of what options made of it.
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

    /// Finds the model, or makes it.
    async fn prepare(
        &self,
        context: &Context,
        spec: Option<NetworkSpec>,
        followed: Option<&Followed>,
        units: (PrivacyUnit, usize),
    ) -> Result<TrainableModel, CliError> {
        let model_id = match (&self.model, followed, &spec) {
            (Some(id), _, _) => ModelId::parse(id.as_str())?,
            (None, Some(followed), _) => ModelId::parse(followed.recipe.name.as_str())?,
            (None, None, Some(spec)) => ModelId::parse(spec.name.as_str())?,
            (None, None, None) => ModelId::parse(defaults::NETWORK)?,
        };
        let key = self.key.as_deref().map(KeyId::parse).transpose()?;
        let delta = self.options.delta().or(followed.and_then(|followed| followed.delta));
        let asked = AskedModel { network: spec.as_ref(), key: key.as_ref(), delta };
        if let Some(model) = context.workspace.find_model(&model_id, asked).await? {
            return Ok(model);
        }
        let spec = spec.map_or_else(|| network::load(defaults::NETWORK), Ok)?;
        let recipes = followed.and_then(|followed| followed.recipe.seeds.first().copied());
        let new = NewModel {
            network: &spec,
            key: &context.workspace.choose_key(key.as_ref())?,
            seed: self.seed.or(recipes).unwrap_or(defaults::SEED),
            units,
            delta: delta.map_or_else(default_delta, Ok)?,
        };
        let model = context.workspace.create_model(&model_id, new).await?;
        let (name, key_id) = (&spec.name, &model.key_id);
        context.output.note(&format!("model {model_id} made: network {name}, key {key_id}"))?;
        Ok(model)
    }
}

impl Followed {
    fn load(name: &str) -> Result<Self, CliError> {
        let recipe = Recipe::load(name)?;
        let (options, delta) = (recipe.options()?, recipe.delta()?);
        Ok(Self { recipe, options, delta })
    }
}
