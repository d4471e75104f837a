//! Who recognises: stored tickets, or the service in one shot, image by image or in batches.

use std::sync::Arc;
use std::time::Instant;

use sphinx_client::ModelId;
use sphinx_client::data::Pipeline;
use sphinx_client::one_shot::{Batches, OneShot};
use sphinx_client::tickets::{SupplyOptions, TicketSupply};

use super::input::Image;
use super::report::{Answers, Recognised};
use crate::context::Context;
use crate::error::CliError;

/// Groups of images on their way at once: while one waits for the service, the next is made ready.
const GROUPS: usize = 2;
/// Images on their way at once in one shot: while one is computed, the next travels.
const ONE_SHOTS: usize = 2;

pub(super) enum Engine {
    Tickets { supply: TicketSupply, scalars: usize },
    OneShot(Box<OneShot>),
    Batches(Box<Batches>),
}

/// How images are recognised.
#[derive(Debug, Clone, Copy)]
pub(super) enum Way {
    /// With tickets.
    Tickets,
    /// In one shot, with a share of canaries or none.
    OneShot(Option<f64>),
    /// In one shot, thousands at once.
    Batches,
}

/// Who recognises, and what pictures become before.
pub(super) struct Opened {
    pub engine: Engine,
    pub pipeline: Arc<Pipeline>,
}

impl Engine {
    /// Opens a model. Work without a foreseeable end refills its tickets before they run out.
    pub(super) async fn open(
        context: &Context,
        model: &str,
        way: Way,
        endless: bool,
    ) -> Result<Opened, CliError> {
        let model_id = ModelId::parse(model)?;
        if let Way::Batches = way {
            let batches = context.workspace.batches(&model_id).await?;
            let (network, sealed) = (batches.network(), batches.pipeline());
            let pipeline = context.workspace.pipeline(&model_id, network, sealed)?;
            let engine = Self::Batches(Box::new(batches));
            return Ok(Opened { engine, pipeline: Arc::new(pipeline) });
        }
        if let Way::OneShot(canaries) = way {
            let one_shot = context.workspace.one_shot(&model_id).await?;
            let one_shot = match canaries {
                Some(share) => one_shot.with_canaries(share)?,
                None => one_shot,
            };
            let (network, sealed) = (one_shot.network(), one_shot.pipeline());
            let pipeline = context.workspace.pipeline(&model_id, network, sealed)?;
            let engine = Self::OneShot(Box::new(one_shot));
            return Ok(Opened { engine, pipeline: Arc::new(pipeline) });
        }
        let mut options = SupplyOptions::default();
        if !endless {
            options.low_water = 0;
        }
        let supply = context.workspace.ticket_supply(&model_id, options).await?;
        let recogniser = supply.recogniser();
        let (network, sealed) = (recogniser.network(), recogniser.pipeline());
        let pipeline = context.workspace.pipeline(&model_id, network, sealed)?;
        let scalars = network.input.len();
        let engine = Self::Tickets { supply, scalars };
        Ok(Opened { engine, pipeline: Arc::new(pipeline) })
    }

    /// The version that answers.
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::Tickets { supply, .. } => supply.recogniser().version(),
            Self::OneShot(one_shot) => one_shot.version(),
            Self::Batches(batches) => batches.version(),
        }
    }

    /// Scalars of an image.
    pub(super) fn scalars(&self) -> usize {
        match self {
            Self::Tickets { scalars, .. } => *scalars,
            Self::OneShot(one_shot) => one_shot.network().input.len(),
            Self::Batches(batches) => batches.network().input.len(),
        }
    }

    /// Images of a group, and groups under way at once, if at most `most` images may be under way.
    /// In one shot, where an image takes the service's cores for a while, each goes alone, so that
    /// it is known as soon as it is done. A batch is as large as a request may be.
    pub(super) fn groups(&self, most: usize) -> (usize, usize) {
        match self {
            Self::OneShot(_) => (1, most.min(ONE_SHOTS)),
            Self::Batches(batches) => (batches.images_per_request(), 1),
            Self::Tickets { .. } if most == 1 => (1, 1),
            Self::Tickets { .. } => (most, GROUPS),
        }
    }

    /// Recognises the images among `images`; a file that is not an image stays in its place.
    pub(super) async fn recognise(
        &self,
        images: Vec<Result<Image, CliError>>,
        answers: &Answers,
    ) -> Result<Vec<Result<Recognised, CliError>>, CliError> {
        let begun = Instant::now();
        let pixels: Vec<&[f32]> = images.iter().flatten().map(|image| &*image.pixels).collect();
        let predictions = match self {
            _ if pixels.is_empty() => Vec::new(),
            Self::Tickets { supply, .. } => supply.infer_batch(&pixels).await?,
            Self::OneShot(one_shot) => {
                one_shot.infer_many(&pixels, &mut sphinx_client::secure_rng()).await?
            }
            Self::Batches(batches) => batches.infer(&pixels).await?,
        };
        let milliseconds = begun.elapsed().as_secs_f64() * 1e3;
        let mut predictions = predictions.into_iter();
        let recognised = images.into_iter().filter_map(|image| match image {
            Ok(image) => {
                let prediction = predictions.next()?;
                Some(Ok(Recognised::new(image.name, prediction, milliseconds, answers)))
            }
            Err(error) => Some(Err(error)),
        });
        Ok(recognised.collect())
    }

    /// Gives tickets back that were not used.
    pub(super) async fn close(&self) -> Result<(), CliError> {
        match self {
            Self::Tickets { supply, .. } => Ok(supply.close().await?),
            Self::OneShot(_) | Self::Batches(_) => Ok(()),
        }
    }
}
