//! A search whose own ε counts: a random number of settings is tried, and the best alone is told.

use std::time::Instant;

use rand::{CryptoRng, RngExt};
use serde::Serialize;
use sphinx_client::recipe::{Recipe, RecipePrivacy};
use sphinx_privacy::{Delta, Segment, Selection, SelectionEpsilon, noised_count};

use crate::error::CliError;
use crate::interrupt::Interrupt;
use crate::numbers::percent;
use crate::recipes::search::grid::Grid;
use crate::recipes::search::ground::Ground;

/// Halvings of the range in which the ε of one training is looked for.
const HALVINGS: u32 = 10;
/// The ε of one training is at least this part of the whole.
const LEAST: f64 = 1.0 / 64.0;

/// What cannot be varied.
const EPSILON: &str = "privacy.budget.epsilon";

/// What each training may spend, so that the search and one training afterwards keep within a
/// budget.
pub struct Budget {
    selection: Selection,
    /// Of one training.
    epsilon: f64,
    spent: SelectionEpsilon,
}

/// The best of a search, and what that it is known costs.
#[derive(Debug, Serialize)]
pub struct Chosen {
    recipe: String,
    trained: usize,
    validated: usize,
    values: Vec<(String, String)>,
    /// Share of the validation images that was recognised, with noise.
    accuracy: f64,
    /// Deviation of that noise.
    accuracy_noise: f64,
    trials: u64,
    /// What to train with afterwards.
    epsilon: f64,
    epsilon_of_search: f64,
    epsilon_in_all: f64,
    delta: f64,
    seconds: f64,
}

impl Budget {
    /// Finds the ε of one training, for settings of which any may be the best.
    pub fn new(
        epsilon: f64,
        trials: f64,
        grid: &Grid,
        (trained, validated): (usize, usize),
    ) -> Result<Self, CliError> {
        let usage = |text: String| CliError::Usage(text);
        if !(epsilon.is_finite() && epsilon > 0.0) {
            return Err(usage(format!("--epsilon-in-all {epsilon}: a positive number is wanted")));
        }
        let varied = grid.recipes.iter().flat_map(|(_, values)| values);
        if varied.into_iter().any(|(key, _)| key == EPSILON) {
            let text = "--epsilon-in-all decides about epsilon: it cannot be varied beside it";
            return Err(usage(text.to_owned()));
        }
        let selection = Selection::new(trials);
        let selection = selection.map_err(|error| usage(format!("--trials: {error}")))?;
        let delta = delta(grid)?;
        let all = trained + validated;
        let spent = |one: f64| -> Result<Option<SelectionEpsilon>, CliError> {
            let (searched, afterwards) = (segments(grid, one, trained)?, segments(grid, one, all)?);
            let spent = selection.epsilon(&searched, &afterwards, delta)?;
            Ok((spent.all <= epsilon).then_some(spent))
        };
        let mut best = None;
        let (mut low, mut high) = ((LEAST * epsilon).ln(), epsilon.ln());
        for step in 0..=HALVINGS {
            let one = if step == 0 { low } else { f64::midpoint(low, high) }.exp();
            match spent(one)? {
                Some(spent) => {
                    best = Some(Self { selection, epsilon: one, spent });
                    low = one.ln();
                }
                None if step == 0 => break,
                None => high = one.ln(),
            }
        }
        best.ok_or_else(|| {
            usage(format!(
                "--epsilon-in-all {epsilon}: {trials} trainings on the average and one afterwards leave next to nothing \
                 to each: give more, or fewer --trials"
            ))
        })
    }

    /// Tries as many settings as chance says, and keeps the best.
    pub fn search(
        &self,
        recipe: String,
        grid: &Grid,
        ground: &Ground<'_>,
        interrupt: &Interrupt,
        rng: &mut impl CryptoRng,
    ) -> Result<Chosen, CliError> {
        let started = Instant::now();
        let trials = self.selection.draw(rng);
        let mut best = None;
        for _ in 0..trials {
            let (setting, values) = &grid.recipes[rng.random_range(0..grid.recipes.len())];
            let setting = with_epsilon(setting, self.epsilon);
            let seed = setting.seeds.first().copied().unwrap_or_default();
            // Whoever knew batches and noise could undo them.
            let Some(right) = ground.recognised(&setting, seed, rng.random(), interrupt)? else {
                // What was found so far is not told: the number of trials is part of the proof.
                return Err(CliError::Interrupted);
            };
            let score = noised_count(right as u64, self.spent.count_noise, rng);
            if best.as_ref().is_none_or(|(other, _)| score > *other) {
                best = Some((score, values.clone()));
            }
        }
        let (score, values) = best.unwrap_or_default();
        let (trained, validated) = (ground.trained(), ground.validated());
        Ok(Chosen {
            recipe,
            trained,
            validated,
            values,
            accuracy: score as f64 / validated as f64,
            accuracy_noise: self.spent.count_noise as f64 / validated as f64,
            trials,
            epsilon: self.epsilon,
            epsilon_of_search: self.spent.search,
            epsilon_in_all: self.spent.all,
            delta: delta(grid)?.get(),
            seconds: started.elapsed().as_secs_f64(),
        })
    }
}

/// δ of all settings.
fn delta(grid: &Grid) -> Result<Delta, CliError> {
    let mut deltas = grid.recipes.iter().map(|(recipe, _)| match recipe.privacy {
        RecipePrivacy::Budget { delta, .. } => Some(delta),
        RecipePrivacy::None => None,
    });
    let first = deltas.next().flatten();
    let text =
        "--epsilon-in-all: every setting has to have a privacy budget, all of the same delta";
    match first.filter(|first| deltas.all(|delta| delta == Some(*first))) {
        Some(delta) => Ok(Delta::new(delta).map_err(sphinx_privacy::PlanError::from)?),
        None => Err(CliError::Usage(text.to_owned())),
    }
}

/// What trainings on so many images would be made of, each once.
fn segments(grid: &Grid, epsilon: f64, examples: usize) -> Result<Vec<Segment>, CliError> {
    let mut planned: Vec<(Recipe, Segment)> = Vec::new();
    for (recipe, _) in &grid.recipes {
        let one = with_epsilon(recipe, epsilon);
        let key = |recipe: &Recipe| {
            let training = &recipe.training;
            (training.epochs.to_bits(), training.blocks, training.batch, training.augment)
        };
        if planned.iter().any(|(other, _)| key(other) == key(&one)) {
            continue;
        }
        if let Some(plan) = one.options()?.resolve(examples)?.privacy {
            planned.push((one, plan.segment));
        }
    }
    Ok(planned.into_iter().map(|(_, segment)| segment).collect())
}

/// The recipe with another ε.
fn with_epsilon(recipe: &Recipe, to: f64) -> Recipe {
    let mut recipe = recipe.clone();
    if let RecipePrivacy::Budget { epsilon, .. } = &mut recipe.privacy {
        *epsilon = to;
    }
    recipe
}

impl Chosen {
    pub fn text(&self) -> String {
        let values = self.values.iter().map(|(key, value)| format!("{key}={value}"));
        format!(
            "\nbest of {} trainings  {}\nvalidation  {} with noise of {}\nepsilon     {:.3} for the search, {:.3} for it \
             and one training on all {} images with --epsilon {:.4} (delta {:e}, by Renyi divergences)",
            self.trials,
            values.collect::<Vec<_>>().join(" "),
            percent(self.accuracy),
            percent(self.accuracy_noise),
            self.epsilon_of_search,
            self.epsilon_in_all,
            self.trained + self.validated,
            self.epsilon,
            self.delta,
        )
    }
}
