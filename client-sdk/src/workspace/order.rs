//! A training as somebody asks for it who does not set every knob: the way of studio and Python.

use std::num::NonZeroUsize;
use std::sync::Arc;

use sphinx_data::{Dataset, Pipeline, Preparation};
use sphinx_network::NetworkSpec;
use sphinx_privacy::{Delta, PlanError, Target};

use crate::defaults;
use crate::error::ClientError;
use crate::recipe::Recipe;
use crate::training::{Privacy, TrainingOptions, TrainingRequest, check_input};
use crate::workspace::{AskedModel, Estimate, NewModel, TrainableModel, Workspace, WorkspaceError};
use crate::{KeyId, ModelId};

/// Classes of digits.
const DIGITS: usize = 10;
/// What a key that was made here says of itself.
const DESCRIPTION: &str = "made by the Sphinx client";

/// The network of a model that is to be trained.
#[derive(Debug, Clone, PartialEq)]
pub enum OrderedNetwork {
    /// One that fits the images.
    Automatic,
    /// This one, with the command's usual options.
    Network(Box<NetworkSpec>),
    /// That of a recipe, and all its options.
    Recipe(Box<Recipe>),
}

/// What to train, in a few words.
#[derive(Debug, Clone, PartialEq)]
pub struct Order {
    /// The model; made if there is none of that name, else trained further.
    pub model_id: ModelId,
    /// Its network, and how it is trained.
    pub network: OrderedNetwork,
    /// `false` trains on exact gradients: the services can reconstruct images from them.
    pub private: bool,
    /// ε over the model's whole life; `None` for the recipe's, the one that the model was last
    /// trained within, or 3.
    pub epsilon: Option<f64>,
    /// δ of a new model; `None` for the recipe's or 1e-5.
    pub delta: Option<Delta>,
    /// Passes over the data; `None` for the recipe's or the usual number.
    pub epochs: Option<f64>,
    /// Seed of a new model's public initial weights; `None` for the recipe's first or 1.
    pub seed: Option<u64>,
    /// What the ledger of data sets calls the images.
    pub data_name: Option<String>,
    /// Connections that the blocks of a step are spread over.
    pub shards: NonZeroUsize,
}

/// A training that can begin.
#[derive(Clone)]
pub struct Ready {
    /// What to train and on what.
    pub request: TrainingRequest,
    /// What pictures become before the network gets them.
    pub pipeline: Pipeline,
    /// What it will take and cost.
    pub estimate: Estimate,
}

/// An order, compared with what there is.
struct Planned {
    /// `None` if the model is to be made.
    existing: Option<TrainableModel>,
    spec: NetworkSpec,
    options: TrainingOptions,
    delta: Delta,
    pipeline: Pipeline,
    estimate: Estimate,
}

/// The network of a model that nobody chose one for.
///
/// # Errors
/// [`ClientError::Spec`] for a shape that no network takes.
pub fn automatic_network(pipeline: &Pipeline) -> Result<NetworkSpec, ClientError> {
    let classes = pipeline.classes.len();
    if pipeline.preparation == Preparation::Digit && classes == DIGITS {
        let digits = NetworkSpec::builtin(defaults::NETWORK);
        if let Some(spec) = digits.filter(|spec| spec.input == pipeline.shape) {
            return Ok(spec);
        }
    }
    Ok(NetworkSpec::auto(pipeline.shape, classes))
}

impl Workspace {
    /// The only key of this machine, registered; made where there is none.
    ///
    /// # Errors
    /// [`WorkspaceError::WhichKey`] if there are several; as [`Workspace::register_key`].
    pub async fn any_key(&self) -> Result<KeyId, WorkspaceError> {
        let key = match self.choose_key(None) {
            Err(WorkspaceError::NoKey) => self.make_key(None, None)?,
            chosen => chosen?,
        };
        self.register_key(&key, DESCRIPTION).await?;
        Ok(key)
    }

    /// Finds or makes the model of an order, and compares all that can be compared before anything
    /// is made. `pipeline` is what the images went through; a model that is there already keeps
    /// its own. A key is made and registered where there is none.
    ///
    /// # Errors
    /// As [`Workspace::find_model`], [`Workspace::create_model`], [`check_input`],
    /// [`TrainingOptions::resolve`] and [`Workspace::training_request`].
    pub async fn prepare(
        &self,
        order: &Order,
        pipeline: &Pipeline,
        (train, test): (Arc<Dataset>, usize),
    ) -> Result<Ready, WorkspaceError> {
        let planned = self.planned(order, pipeline, (&train, test)).await?;
        let Planned { existing, spec, options, delta, pipeline, estimate } = planned;
        let model = match existing {
            Some(model) => model,
            None => self.make(order, (&spec, &pipeline), (&options, train.len()), delta).await?,
        };
        let mut request = self.training_request(&model, train, options)?;
        request.shards = order.shards;
        if let Some(account) = &mut request.account {
            account.name.clone_from(&order.data_name);
        }
        Ok(Ready { request, pipeline, estimate })
    }

    async fn planned(
        &self,
        order: &Order,
        pipeline: &Pipeline,
        (train, test): (&Dataset, usize),
    ) -> Result<Planned, WorkspaceError> {
        let recipe = order.recipe();
        let asked = order.spec()?;
        let expected = AskedModel { network: asked.as_ref(), key: None, delta: order.delta };
        let existing = self.find_model(&order.model_id, expected).await?;
        let spec = match (&existing, asked) {
            (Some(model), _) => model.network.clone(),
            (None, Some(spec)) => spec,
            (None, None) => automatic_network(pipeline)?,
        };
        check_input(&spec, train)?;
        let recipes = recipe.map(Recipe::delta).transpose()?.flatten();
        let delta = existing.as_ref().map(|model| model.delta).or(order.delta).or(recipes);
        let delta = delta.map_or_else(|| Delta::new(defaults::DELTA), Ok).map_err(plan_error)?;
        let budget = existing.as_ref().and_then(|model| model.budget);
        let options = order.options(&spec, train.len(), delta, budget)?;
        let pipeline = existing.as_ref().map_or(pipeline, |model| &model.pipeline).clone();
        let estimate = Estimate::new(&spec, &pipeline, (train, test), &options)?;
        Ok(Planned { existing, spec, options, delta, pipeline, estimate })
    }

    /// What an order will take and cost; nothing is made.
    ///
    /// # Errors
    /// As [`Workspace::prepare`].
    pub async fn estimate(
        &self,
        order: &Order,
        pipeline: &Pipeline,
        (train, test): (Arc<Dataset>, usize),
    ) -> Result<Estimate, WorkspaceError> {
        let planned = self.planned(order, pipeline, (&train, test)).await?;
        Ok(planned.estimate)
    }

    async fn make(
        &self,
        order: &Order,
        (network, pipeline): (&NetworkSpec, &Pipeline),
        (options, examples): (&TrainingOptions, usize),
        delta: Delta,
    ) -> Result<TrainableModel, WorkspaceError> {
        let key = self.any_key().await?;
        let recipes = order.recipe().and_then(|recipe| recipe.seeds.first().copied());
        let units = options.units(examples).map_err(ClientError::from)?;
        let new = NewModel {
            network,
            key: &key,
            seed: order.seed.or(recipes).unwrap_or(defaults::SEED),
            units: (options.unit(), units),
            delta,
            pipeline: Some(pipeline),
        };
        self.create_model(&order.model_id, new).await
    }
}

impl Order {
    fn recipe(&self) -> Option<&Recipe> {
        match &self.network {
            OrderedNetwork::Recipe(recipe) => Some(recipe),
            OrderedNetwork::Automatic | OrderedNetwork::Network(_) => None,
        }
    }

    fn spec(&self) -> Result<Option<NetworkSpec>, WorkspaceError> {
        Ok(match &self.network {
            OrderedNetwork::Automatic => None,
            OrderedNetwork::Network(spec) => Some(spec.as_ref().clone()),
            OrderedNetwork::Recipe(recipe) => Some(recipe.spec()?),
        })
    }

    fn options(
        &self,
        spec: &NetworkSpec,
        examples: usize,
        delta: Delta,
        budget: Option<f64>,
    ) -> Result<TrainingOptions, WorkspaceError> {
        let recipe = self.recipe().map(Recipe::options).transpose()?;
        let (mut least, mut norm) = (budget, defaults::CLIPPING_NORM);
        if let Some(Privacy::Budget { target, clipping_norm }) = recipe.as_ref().map(|o| o.privacy)
        {
            least = least.into_iter().chain([target.epsilon()]).reduce(f64::min);
            norm = clipping_norm;
        }
        let epsilon = self.epsilon.or(least).unwrap_or(defaults::EPSILON);
        let privacy = if self.private {
            let target = Target::new(epsilon, delta).map_err(plan_error)?;
            Privacy::Budget { target, clipping_norm: norm }
        } else {
            Privacy::None
        };
        let alike = |options: &TrainingOptions| (options.privacy == Privacy::None) != self.private;
        let mut options = match recipe.filter(alike) {
            Some(recipe) => TrainingOptions { privacy, ..recipe },
            None => TrainingOptions::usual(spec, examples, privacy)?,
        };
        if let Some(epochs) = self.epochs {
            options.epochs = epochs;
        }
        // A recipe may be followed on fewer images than it was written for.
        options.blocks =
            options.blocks.min((examples as u64).div_ceil(sphinx_privacy::BLOCK_SLOTS) + 1);
        options.resolve(examples)?;
        options.check_shards(self.shards).map_err(ClientError::from)?;
        Ok(options)
    }
}

fn plan_error(error: impl Into<PlanError>) -> ClientError {
    error.into().into()
}
