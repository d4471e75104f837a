//! One training in the clear, and how many of the validation images it recognises.

use rand::SeedableRng;
use rand_chacha::ChaCha20Rng;
use rayon::prelude::*;
use sphinx_client::data::Dataset;
use sphinx_client::recipe::Recipe;
use sphinx_client::{ClearTwin, Inputs, Progress, View, train_with_inputs};
use sphinx_network::{NetworkSpec, Plan, initial_parameters};
use sphinx_quantise::{DEFAULT_ACTIVATION_BITS, QuantisedNetwork};

use crate::error::CliError;
use crate::interrupt::Interrupt;

/// A network, images to train it on and images to choose settings by. What a public stem makes of
/// them is computed once.
pub struct Ground<'a> {
    spec: NetworkSpec,
    plan: Plan,
    train: Inputs<'a>,
    validation: Inputs<'a>,
}

impl<'a> Ground<'a> {
    pub fn new(
        spec: NetworkSpec,
        train: &'a Dataset,
        validation: &'a Dataset,
    ) -> Result<Self, CliError> {
        let plan = Plan::new(&spec)?;
        let (train, validation) = (Inputs::new(&plan, train)?, Inputs::new(&plan, validation)?);
        Ok(Self { spec, plan, train, validation })
    }

    /// Images to train on.
    pub fn trained(&self) -> usize {
        self.train.data().len()
    }

    /// Images to validate with.
    pub fn validated(&self) -> usize {
        self.validation.data().len()
    }

    /// Trains as the recipe says, from initial weights of a public seed, with batches and noise of
    /// `randomness`, and counts the validation images that are recognised then; `None` if the user
    /// wants it no more.
    pub fn recognised(
        &self,
        recipe: &Recipe,
        seed: u64,
        randomness: [u8; 32],
        interrupt: &Interrupt,
    ) -> Result<Option<usize>, CliError> {
        let options = recipe.options()?;
        let parameters = initial_parameters(&self.plan, &mut ChaCha20Rng::seed_from_u64(seed));
        let rule = options.rule(self.trained())?;
        let mut twin = ClearTwin::new(&self.plan, parameters, rule)?;
        let mut go_on = |_: &Progress| !interrupt.asked();
        train_with_inputs(&mut twin, &self.spec, &self.train, &options, randomness, &mut go_on)?;
        if interrupt.asked() {
            return Ok(None);
        }
        let (bits, bound) = (DEFAULT_ACTIVATION_BITS, self.spec.bias_bound);
        let network = QuantisedNetwork::new(&self.plan, twin.parameters(), bound, bits)?;
        let images = &self.validation;
        let right = |(example, &label): (usize, &u8)| -> Option<usize> {
            let logits = network.classify(&images.example(View::of(example)).ok()?).ok()?;
            let best = logits.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1))?.0;
            Some(usize::from(best == usize::from(label)))
        };
        Ok(Some(images.data().labels().par_iter().enumerate().filter_map(right).sum()))
    }
}
