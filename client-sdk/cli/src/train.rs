//! `sphinx train`: trains a model, a new one or further.

pub mod flags;
mod follow;
mod outlook;
mod persons;
mod rounds;
mod summary;

use std::num::NonZeroUsize;
use std::sync::Arc;

use clap::Args;
use sphinx_client::data::sources::Loaded;
use sphinx_client::data::{Dataset, Pipeline};
use sphinx_client::recipe::Recipe;
use sphinx_client::workspace::{AskedModel, Estimate, NewModel, TrainableModel, automatic_network};
use sphinx_client::{
    ClientError, KeyId, ModelId, Privacy, PrivacyUnit, Target, TrainingOptions, check_input,
};
use sphinx_network::NetworkSpec;
use sphinx_privacy::{Delta, PlanError};

use crate::context::Context;
use crate::data::{DataArgs, PipelineArgs};
use crate::error::{CliError, note};
use crate::promise::Promise;
use crate::train::flags::{Setting, TrainingFlags, default_delta, warning};
use crate::train::follow::FollowFlags;
use crate::train::persons::PersonFlags;
use crate::training::{self, Ended};
use crate::{defaults, network};

use summary::Summary;

/// Asks for the network that fits the images.
const AUTO: &str = "auto";

/// Train a model, a new one or further
#[derive(Debug, Args)]
pub struct Train {
    /// Follow a built-in recipe or one in a TOML file; options given beside it override it
    #[arg(long, value_name = "NAME|FILE")]
    recipe: Option<String>,
    /// A built-in network, a TOML file, or `auto` for one that fits the images [default: the
    /// recipe's, the model's or auto, which is sphinx-mnist for digits]
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
    follow: FollowFlags,
    #[command(flatten)]
    unit: PersonFlags,
    #[command(flatten)]
    pictures: PipelineArgs,
    #[command(flatten)]
    options: TrainingFlags,
    /// Connections that the blocks of every step are spread over, at most one per block: to the
    /// trainer and --further-trainers in turn
    #[arg(long, value_name = "N", default_value_t = NonZeroUsize::MIN, help_heading = "Training")]
    shards: NonZeroUsize,
}

/// A recipe, and what it says of itself.
struct Followed {
    recipe: Recipe,
    options: TrainingOptions,
    delta: Option<Delta>,
}

/// A model and the images to train it on, compared with each other.
struct Material {
    model_id: ModelId,
    /// `None` if it is to be made.
    existing: Option<TrainableModel>,
    spec: NetworkSpec,
    pipeline: Pipeline,
    train: Dataset,
    /// Images to test with.
    test: usize,
}

impl Train {
    pub async fn run(&self, context: &Context) -> Result<(), CliError> {
        match self.follow.given() {
            Some(place) => Box::pin(self.follow(context, place)).await,
            None => Box::pin(self.once(context)).await,
        }
    }

    async fn once(&self, context: &Context) -> Result<(), CliError> {
        let followed = self.recipe.as_deref().map(Followed::load).transpose()?;
        let followed = followed.as_ref();
        if let Some(followed) = followed {
            self.data.check(&followed.recipe)?;
        }
        // Wrong options show before anything is made.
        let setting = Setting {
            epochs: defaults::EPOCHS,
            delta: default_delta()?,
            examples: None,
            budget: None,
        };
        let chosen = followed.map(|followed| &followed.options);
        self.options.over(chosen, &setting)?;
        let units = self.unit.load()?;
        let material =
            context.interrupt.guard(self.material(context, followed, &self.data)).await?;
        let examples = material.train.len();
        let (mut options, delta) = self.options_for(followed, &material, examples)?;
        options.persons = units.of(&material.train).map_err(ClientError::from)?;
        options.resolve(examples)?;
        options.check_shards(self.shards).map_err(ClientError::from)?;
        let units = (options.unit(), options.units(examples).map_err(ClientError::from)?);
        let set = (&material.train, material.test);
        let estimate = Estimate::new(&material.spec, &material.pipeline, set, &options)?;
        if let Some(warning) = warning(&options.privacy) {
            note(&format!("{warning}\n"));
        }
        context.output.note(&outlook::text(&estimate, self.shards))?;
        let Material { model_id, existing, spec, pipeline, train, .. } = material;
        let model = match existing {
            Some(model) => model,
            None => {
                let making = self.make(context, &model_id, (&spec, &pipeline), units, delta);
                context.interrupt.guard(making).await?
            }
        };
        if let Some(followed) = followed {
            context.output.note(&self.promise(followed, &options, examples)?.text())?;
        }
        let mut request = context.workspace.training_request(&model, Arc::new(train), options)?;
        request.shards = self.shards;
        if let Some(account) = &mut request.account {
            account.name = Some(self.data_name.clone().unwrap_or_else(|| self.data.name()));
        }
        let (client, output) = (context.workspace.client(), context.output);
        let Ended { trained, interrupted } =
            training::run(client, request, output, &context.interrupt).await?;
        let recipe = followed.map(|followed| &followed.recipe);
        let summary = Summary::new(&model_id, recipe, delta, &trained, interrupted);
        output.result(&summary, || summary::text(&model_id, recipe, delta, &trained))?;
        if interrupted { Err(CliError::Interrupted) } else { Ok(()) }
    }

    /// Finds images and model, and compares all that can be compared before anything is made.
    async fn material(
        &self,
        context: &Context,
        followed: Option<&Followed>,
        data: &DataArgs,
    ) -> Result<Material, CliError> {
        let asked = self.spec(followed)?;
        let found = data.find()?;
        let found = if self.follow.given().is_some() { found.undivided() } else { found };
        for note in found.notes() {
            context.output.note(&format!("note: {note}"))?;
        }
        let new = self.pictures.over(&found, asked.as_ref().map(|spec| spec.input))?;
        let model_id = match (&self.model, followed, &asked) {
            (Some(id), _, _) => ModelId::parse(id.as_str())?,
            (None, Some(followed), _) => ModelId::parse(followed.recipe.name.as_str())?,
            (None, None, Some(spec)) => ModelId::parse(spec.name.as_str())?,
            (None, None, None) => ModelId::parse(automatic_network(&new)?.name.as_str())?,
        };
        let key = self.key.as_deref().map(KeyId::parse).transpose()?;
        let delta = self.options.delta().or(followed.and_then(|followed| followed.delta));
        let expected = AskedModel { network: asked.as_ref(), key: key.as_ref(), delta };
        let existing = context.workspace.find_model(&model_id, expected).await?;
        let (spec, pipeline) = match (&existing, asked) {
            (Some(model), _) if self.pictures.is_given() => {
                return Err(CliError::PipelineKept { model: model.model_id.to_string() });
            }
            (Some(model), _) => (model.network.clone(), model.pipeline.clone()),
            (None, Some(spec)) => (spec, new),
            (None, None) => (automatic_network(&new)?, new),
        };
        let found = if existing.is_some() { found.with_classes(&pipeline.classes)? } else { found };
        let Loaded { train, test, .. } = data.load_through(found, &pipeline)?;
        check_input(&spec, &train)?;
        let test = test.len();
        Ok(Material { model_id, existing, spec, pipeline, train, test })
    }

    /// The network asked for, if any was.
    fn spec(&self, followed: Option<&Followed>) -> Result<Option<NetworkSpec>, CliError> {
        match (&self.network, followed) {
            (Some(name), _) if name == AUTO => Ok(None),
            (Some(name), _) => Ok(Some(network::load(name)?)),
            (None, Some(followed)) => Ok(Some(followed.recipe.spec()?)),
            (None, None) => Ok(None),
        }
    }

    /// How to train a model on so many images, and δ.
    fn options_for(
        &self,
        followed: Option<&Followed>,
        material: &Material,
        examples: usize,
    ) -> Result<(TrainingOptions, Delta), CliError> {
        let (delta, budget) = match &material.existing {
            Some(TrainableModel { delta, budget, .. }) => (*delta, *budget),
            None => (self.delta(followed)?, None),
        };
        let epochs = defaults::EPOCHS;
        let setting = Setting { epochs, examples: Some(examples), delta, budget };
        let target = Target::new(defaults::EPSILON, delta).map_err(PlanError::from)?;
        let clipping_norm = defaults::CLIPPING_NORM;
        let auto = TrainingOptions::automatic(examples, Privacy::Budget { target, clipping_norm });
        let chosen = followed.map(|followed| &followed.options);
        let base = chosen.or(material.spec.is_auto().then_some(&auto));
        Ok((self.options.over(base, &setting)?, delta))
    }

    /// δ of a new model.
    fn delta(&self, followed: Option<&Followed>) -> Result<Delta, CliError> {
        let delta = self.options.delta().or(followed.and_then(|followed| followed.delta));
        delta.map_or_else(default_delta, Ok)
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

    async fn make(
        &self,
        context: &Context,
        model_id: &ModelId,
        (spec, pipeline): (&NetworkSpec, &Pipeline),
        units: (PrivacyUnit, usize),
        delta: Delta,
    ) -> Result<TrainableModel, CliError> {
        let key = self.key.as_deref().map(KeyId::parse).transpose()?;
        let seeds = self.recipe.as_deref().map(Followed::load).transpose()?;
        let recipes = seeds.and_then(|followed| followed.recipe.seeds.first().copied());
        let new = NewModel {
            network: spec,
            key: &context.workspace.choose_key(key.as_ref())?,
            seed: self.seed.or(recipes).unwrap_or(defaults::SEED),
            units,
            delta,
            pipeline: Some(pipeline),
        };
        let model = context.workspace.create_model(model_id, new).await?;
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
