//! The training loop.

use std::sync::Arc;
use std::time::Instant;

use sphinx_data::Dataset;
use sphinx_linalg::SLOTS;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_proto::SessionId;

use crate::error::ClientError;
use crate::training::batches::{Batches, blocks, person_blocks};
use crate::training::deliver::{Undelivered, deliver, reopen};
use crate::training::evaluator::{Evaluator, Update};
use crate::training::inputs::{Inputs, Slot};
use crate::training::ledger::ModelLedger;
use crate::training::options::{ResolvedTraining, TrainingOptions};
use crate::training::progress::{Progress, TrainingSummary};
use crate::training::randomness::{Purpose, StepRandomness};
use crate::training::shards::spread;
use crate::training::step::{Sharing, blocks_together, gradients};
use crate::training::update::UpdateMaker;

/// Everything a training needs besides the cloud.
pub(crate) struct Training<'a> {
    pub spec: &'a NetworkSpec,
    pub inputs: &'a Inputs<'a>,
    pub options: &'a TrainingOptions,
    pub planned: &'a ResolvedTraining,
    pub session_id: SessionId,
    /// Seed of batches and noise; from the operating system in production.
    pub seed: [u8; 32],
}

/// Trains by `cloud` with given seeds and without a ledger: for the twin in the clear and for
/// experiments that have to be repeatable. What is spent is recorded nowhere and ε is not stated;
/// models that matter are trained by [`crate::SphinxClient::train_model`].
///
/// Blocks, and reports after every step; a `false` from `progress` ends the training after that
/// step.
///
/// # Errors
/// [`ClientError`]; the model stays at its last committed version.
pub fn train_without_ledger(
    cloud: &mut dyn Evaluator,
    spec: &NetworkSpec,
    data: &Dataset,
    options: &TrainingOptions,
    seed: [u8; 32],
    progress: &mut dyn FnMut(&Progress) -> bool,
) -> Result<TrainingSummary, ClientError> {
    let inputs = Inputs::new(&Plan::new(spec)?, data)?;
    train_with_inputs(cloud, spec, &inputs, options, seed, progress)
}

/// As [`train_without_ledger`], with inputs that were computed before: several trainings of
/// networks with the same stem share them.
///
/// # Errors
/// As [`train_without_ledger`].
pub fn train_with_inputs(
    cloud: &mut dyn Evaluator,
    spec: &NetworkSpec,
    inputs: &Inputs<'_>,
    options: &TrainingOptions,
    seed: [u8; 32],
    progress: &mut dyn FnMut(&Progress) -> bool,
) -> Result<TrainingSummary, ClientError> {
    let planned = options.resolve(inputs.data().len())?;
    let session_id = SessionId([0; 16]);
    let training = Training { spec, inputs, options, planned: &planned, session_id, seed };
    training.run(cloud, None, progress)
}

impl Training<'_> {
    pub(crate) fn run(
        &self,
        cloud: &mut dyn Evaluator,
        mut ledger: Option<&mut ModelLedger>,
        progress: &mut dyn FnMut(&Progress) -> bool,
    ) -> Result<TrainingSummary, ClientError> {
        let started = Instant::now();
        let plan = Arc::new(Plan::new(self.spec)?);
        let privacy = self.planned.privacy.as_ref();
        let randomness = StepRandomness::new(self.seed);
        let units = self.options.units(self.inputs.data().len())?;
        let batches = Batches::new(units, self.planned.batch, privacy);
        let maker = UpdateMaker::new(&plan, (self.options, privacy))?;
        let allowed = match &ledger {
            Some(ledger) => ledger.remaining(privacy)?,
            None => u64::MAX,
        };
        // A session that was interrupted goes on where it was.
        let begun = cloud.steps();
        let steps = self.planned.steps.min(begun.saturating_add(allowed));
        let averages = self.planned.rule.averaging.is_some();
        let mut done = begun;
        let mut seen = 0;
        let mut refused = false;
        while done < steps {
            let _trace = tracing::info_span!("step", step = done).entered();
            let step_started = Instant::now();
            let batch = batches.draw(&randomness, done);
            // Drawn once: a step that is tried again shows the same.
            let slots = self.slots(&batch, &randomness, done);
            let pass = self.pass(cloud, &plan, &maker, &slots, done)?;
            let update = maker.make(&pass.gradients, &mut randomness.of(Purpose::Noise, done))?;
            let last = done + 1 == self.planned.steps && !averages;
            if !self.commit(cloud, ledger.as_deref_mut(), (done, last), &update)? {
                refused = true;
                break;
            }
            done += 1;
            seen += pass.examples;
            let report = Progress {
                step: done,
                steps,
                epoch: match privacy {
                    Some(plan) => done as f64 * plan.segment.sampling_rate.get(),
                    None => seen as f64 / units.max(1) as f64,
                },
                loss: pass.loss / pass.views.max(1) as f64,
                accuracy: pass.correct as f64 / pass.views.max(1) as f64,
                examples: pass.examples,
                clipped: pass.clipped as f64 / pass.examples.max(1) as f64,
                step_time: step_started.elapsed(),
                epsilon: ledger.as_ref().and_then(|ledger| ledger.spent()),
                traffic: cloud.traffic(),
                check_cpu: cloud.check_cpu(),
            };
            if !progress(&report) {
                break;
            }
        }
        // However the training ended: what was averaged is post-processing and costs no privacy.
        let averaged = averages && done > 0;
        if averaged {
            let adoption = Update { adopts_average: true, ..Update::default() };
            self.commit(cloud, ledger.as_deref_mut(), (done, true), &adoption)?;
        }
        Ok(TrainingSummary {
            steps: done - begun,
            averaged,
            budget_exhausted: refused || (done < self.planned.steps && done == steps),
            version: cloud.version(),
            slots: (done - begun) * self.options.blocks * SLOTS as u64,
            elapsed: started.elapsed(),
            epsilon: ledger.as_ref().and_then(|ledger| ledger.spent()),
            traffic: cloud.traffic(),
        })
    }

    /// What the blocks of a step show.
    fn slots(&self, batch: &[usize], randomness: &StepRandomness, step: u64) -> Vec<Vec<Slot>> {
        let (count, augmentation) = (self.options.blocks, self.options.augmentation);
        match &self.options.persons {
            Some(persons) => person_blocks(batch, count, persons, randomness, step),
            None => {
                let examples = self.inputs.data().len();
                blocks(batch, count, augmentation, examples, randomness, step)
            }
        }
    }

    /// Forward and backward pass of a batch, tried again from its start after a transient failure:
    /// nothing that depends on the data in the clear has left by then.
    fn pass(
        &self,
        cloud: &mut dyn Evaluator,
        plan: &Arc<Plan>,
        maker: &UpdateMaker,
        slots: &[Vec<Slot>],
        step: u64,
    ) -> Result<Pass, ClientError> {
        let mut tries = 1;
        loop {
            match self.blocks(cloud, plan, maker, slots) {
                Ok(pass) => return Ok(pass),
                Err(error) if error.is_transient() => reopen(cloud, step, error, &mut tries)?,
                Err(error) => return Err(error),
            };
        }
    }

    fn blocks(
        &self,
        cloud: &mut dyn Evaluator,
        plan: &Arc<Plan>,
        maker: &UpdateMaker,
        slots: &[Vec<Slot>],
    ) -> Result<Pass, ClientError> {
        let (slots_of_one, clipping) = (self.options.slots_of_one(), maker.clipping());
        let sharing = match &self.options.persons {
            Some(_) => Sharing::Persons(slots_of_one),
            None => Sharing::Copies(slots_of_one),
        };
        let together = blocks_together(plan);
        let results = spread(cloud.shards(), slots.len(), |shard, part| {
            let mut results = Vec::with_capacity(part.len());
            for first in part.clone().step_by(together) {
                let blocks = (first, &slots[first..part.end.min(first + together)]);
                results.extend(gradients(shard, plan, self.inputs, blocks, sharing, clipping)?);
            }
            Ok(results)
        })?;
        let mut pass = Pass::default();
        // In the order of the blocks, so that sums do not depend on who took which.
        for (gradient, loss) in results {
            pass.loss += loss.loss_sum;
            pass.correct += loss.correct;
            pass.views += loss.examples;
            pass.examples += gradient.examples;
            pass.clipped += gradient.clipped;
            pass.gradients.push(gradient);
        }
        Ok(pass)
    }

    /// Records the update, then sends it; after a failure sends the identical bytes again. `false`
    /// if the budget is spent. An update that the service refuses for good stays spent and is not
    /// sent again.
    fn commit(
        &self,
        cloud: &mut dyn Evaluator,
        mut ledger: Option<&mut ModelLedger>,
        (step, last): (u64, bool),
        update: &Update,
    ) -> Result<bool, ClientError> {
        let base_version = cloud.version();
        let sealed = cloud.seal(step, update, last)?;
        if let Some(ledger) = ledger.as_deref_mut()
            && !ledger.reserve(self.session_id, step, base_version, update, &sealed)?
        {
            return Ok(false);
        }
        let delivered = deliver(cloud, step, |cloud| cloud.commit(step, &sealed, update));
        match (delivered, ledger) {
            (Ok(()), Some(ledger)) => ledger.confirm(base_version)?,
            (Ok(()), None) => {}
            (Err(Undelivered::Refused(error)), Some(ledger)) => {
                return Err(ledger.abandon(base_version, error));
            }
            (Err(Undelivered::Refused(error) | Undelivered::Open(error)), _) => return Err(error),
        }
        Ok(true)
    }
}

/// What the passes of a step's blocks yield.
#[derive(Default)]
struct Pass {
    gradients: Vec<sphinx_gradient::BlockGradient>,
    loss: f64,
    correct: usize,
    /// Slots in use: examples times their copies.
    views: usize,
    examples: usize,
    clipped: usize,
}
