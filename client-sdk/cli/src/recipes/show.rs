//! `sphinx recipes show`.

use clap::Args;
use sphinx_client::recipe::Recipe;

use super::list::accuracy;
use crate::error::CliError;
use crate::output::{Output, program};

/// Show a recipe
#[derive(Debug, Args)]
pub struct Show {
    /// A built-in recipe or a TOML file
    #[arg(value_name = "NAME|FILE")]
    recipe: String,
}

impl Show {
    pub fn run(&self, output: Output) -> Result<(), CliError> {
        let recipe = Recipe::load(&self.recipe)?;
        let toml = recipe.to_toml()?;
        output.result(&recipe, || {
            let promise = match &recipe.published {
                Some(published) => format!(
                    "published   {} of the test images, mean and deviation over the seeds\n\
                     cost        {:.0} minutes and {:.0} MB per training on two cores",
                    accuracy(published),
                    published.minutes,
                    published.megabytes
                ),
                None => "published   nothing yet".to_owned(),
            };
            let (sphinx, name) = (program(), &self.recipe);
            format!(
                "{toml}\n{promise}\n\
                 The seeds are those of the initial weights, which are public. Batches and noise come from the \
                 operating system's generator in every run.\n\n\
                 train with it   {sphinx} train --recipe {name}\n\
                 measure it      {sphinx} recipes run {name}"
            )
        })
    }
}
