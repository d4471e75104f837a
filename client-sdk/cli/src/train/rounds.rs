//! Rounds of a training that follows a directory.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use sphinx_client::{ClientError, TrainingOptions};
use sphinx_optimizer::Decay;
use sphinx_privacy::Delta;

use super::follow::{Due, Place, Stamp};
use super::summary::{self, Summary};
use super::{Followed, Material, Train};
use crate::context::Context;
use crate::data::DataArgs;
use crate::error::CliError;
use crate::training::{self, Ended};

/// How often the directory is looked at; a set that two looks find the same has arrived.
const LOOK: Duration = Duration::from_secs(1);

/// What came of a look at the images.
enum Round {
    /// Steps are due still.
    Unfinished,
    /// None are due before more images come.
    Waiting,
    /// None will be due any more.
    Over,
}

impl Train {
    pub(super) async fn follow(&self, context: &Context, place: Place<'_>) -> Result<(), CliError> {
        let followed = self.recipe.as_deref().map(Followed::load).transpose()?;
        let data = self.data.arriving(place.directory);
        let watch = |cause: io::Error| CliError::Watch {
            path: place.directory.to_owned(),
            cause: cause.to_string(),
        };
        let (mut trained_on, mut last) = (None, None);
        loop {
            let stamp = Stamp::of(place.directory).map_err(watch)?;
            if last == Some(stamp) && trained_on != Some(stamp) {
                loop {
                    match self.round(context, followed.as_ref(), (place, &data)).await? {
                        Round::Unfinished => {}
                        Round::Waiting => break,
                        Round::Over => return Ok(()),
                    }
                }
                trained_on = Some(stamp);
            }
            last = Some(stamp);
            let pause = async {
                tokio::time::sleep(LOOK).await;
                Ok::<_, CliError>(())
            };
            context.interrupt.guard(pause).await?;
        }
    }

    /// Trains the steps that are due on what is there.
    async fn round(
        &self,
        context: &Context,
        followed: Option<&Followed>,
        (place, data): (Place<'_>, &DataArgs),
    ) -> Result<Round, CliError> {
        let material = context.interrupt.guard(self.material(context, followed, data)).await?;
        let images = material.train.len() as u64;
        let (workspace, id) = (&context.workspace, material.model_id.clone());
        let steps =
            || Ok::<_, CliError>(workspace.home().ledger_status(workspace.tenant(), &id)?.steps);
        let mut done = if material.existing.is_some() { steps()? } else { 0 };
        // Those for the announced number, whatever is there now: one session, which goes on.
        let announced = usize::try_from(place.up_to).unwrap_or(usize::MAX);
        let (mut options, delta) = self.options_for(followed, &material, announced)?;
        options.check_shards(self.shards).map_err(ClientError::from)?;
        // Each round begins where the last one ended.
        (options.decay, options.warmup, options.averaging) = (Decay::Constant, 0, None);
        let total = options.resolve(announced)?.steps;
        let mut due = Due::new(images, place.up_to, total, done);
        if due.now > 0 {
            let (Due { now, remaining }, up_to) = (due, place.up_to);
            context.output.note(&format!(
                "{id}: {images} images, {done} steps; {now} more are due, {remaining} until there \
                 are {up_to} images"
            ))?;
            options.batch = options.batch.map(|batch| batch.min(images));
            let batch = options.resolve(material.train.len())?.batch;
            options.epochs = (total as f64 - 0.5) * batch as f64 / images as f64;
            self.train_due(context, followed, (material, data), (options, delta, now)).await?;
            done = steps()?;
            due = Due::new(images, place.up_to, total, done);
        }
        let (round, end) = match due {
            Due { now: 0, remaining: 0 } => (Round::Over, "all that were planned"),
            Due { now: 0, .. } => (Round::Waiting, "waiting for more images"),
            Due { .. } => return Ok(Round::Unfinished),
        };
        context.output.note(&format!("{id}: {images} images, {done} steps; {end}"))?;
        Ok(round)
    }

    async fn train_due(
        &self,
        context: &Context,
        followed: Option<&Followed>,
        (material, data): (Material, &DataArgs),
        (options, delta, steps): (TrainingOptions, Delta, u64),
    ) -> Result<(), CliError> {
        let Material { model_id, existing, spec, pipeline, train, .. } = material;
        let units = (options.unit(), options.units(train.len()).map_err(ClientError::from)?);
        let model = match existing {
            Some(model) => model,
            None => {
                let making = self.make(context, &model_id, (&spec, &pipeline), units, delta);
                context.interrupt.guard(making).await?
            }
        };
        let mut request = context.workspace.training_request(&model, Arc::new(train), options)?;
        request.shards = self.shards;
        if let Some(account) = &mut request.account {
            account.name = Some(self.data_name.clone().unwrap_or_else(|| data.name()));
        }
        let most = usize::try_from(steps).unwrap_or(usize::MAX);
        let (client, output) = (context.workspace.client(), context.output);
        let Ended { trained, interrupted } =
            training::for_steps(client, (request, most), output, &context.interrupt).await?;
        let recipe = followed.map(|followed| &followed.recipe);
        let summary = Summary::new(&model_id, recipe, delta, &trained, interrupted);
        output.result(&summary, || summary::text(&model_id, recipe, delta, &trained))?;
        if interrupted { Err(CliError::Interrupted) } else { Ok(()) }
    }
}
