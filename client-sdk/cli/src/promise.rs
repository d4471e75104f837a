//! What a recipe costs, said before it starts, and what it promises.

use sphinx_client::recipe::Published;
use sphinx_client::{ResolvedTraining, TrainingOptions};

use crate::epsilon;
use crate::error::CliError;

/// A recipe on a data set of known size.
pub struct Promise {
    pub recipe: String,
    pub training: ResolvedTraining,
    pub published: Option<Published>,
}

impl Promise {
    /// # Errors
    /// [`CliError::Client`] if the training cannot be planned.
    pub fn new(
        recipe: &str,
        options: &TrainingOptions,
        published: Option<Published>,
        examples: usize,
    ) -> Result<Self, CliError> {
        let training = options.resolve(examples)?;
        Ok(Self { recipe: recipe.to_owned(), training, published })
    }

    /// Steps, time and ε of one training, in one line.
    pub fn text(&self) -> String {
        let steps = self.training.steps;
        let time = match &self.published {
            Some(published) => {
                format!("about {:.0} minutes on two cores", published.minutes.max(1.0))
            }
            None => "time not measured yet".to_owned(),
        };
        let privacy = match (&self.training.epsilon, self.training.noise_multiplier()) {
            (Some(epsilon), _) => epsilon::bounds(epsilon),
            (None, Some(_)) => "ε none proven: the biases' gradients are not noised".to_owned(),
            (None, None) => "no privacy".to_owned(),
        };
        format!("recipe {}: {steps} steps, {time}, {privacy}", self.recipe)
    }
}
