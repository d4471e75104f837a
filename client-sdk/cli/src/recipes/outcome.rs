//! What the seeds of a recipe came to, for programs and for people.

use serde::Serialize;
use sphinx_client::recipe::{Published, Recipe};
use sphinx_client::workspace::{Evaluation, Trained};
use sphinx_privacy::Delta;

use super::list::accuracy;
use crate::epsilon::EpsilonFields;
use crate::numbers::percent;

/// Bytes of a megabyte, as traffic is counted.
const MEGABYTE: f64 = 1e6;

/// A seed that was trained and tested.
#[derive(Debug, Clone, Serialize)]
pub struct SeedRun {
    pub seed: u64,
    /// Share of the test images recognised.
    pub accuracy: f64,
    #[serde(flatten)]
    pub bounds: EpsilonFields,
    pub steps: u64,
    /// Passes over the data, in expectation.
    pub epochs: f64,
    /// Of the last epoch, on the training images as they came.
    pub train_loss: Option<f64>,
    pub train_accuracy: Option<f64>,
    /// Of the training alone.
    pub minutes: f64,
    pub megabytes_up: f64,
    pub megabytes_down: f64,
    /// Of the test through the inference service, tickets included.
    pub test_seconds: f64,
}

/// A seed that failed.
#[derive(Debug, Clone, Serialize)]
pub struct FailedSeed {
    pub seed: u64,
    pub error: String,
}

/// Everything that the seeds of a recipe came to.
#[derive(Debug, Serialize)]
pub struct Outcome {
    pub recipe: String,
    pub network: String,
    pub train_images: usize,
    pub test_images: usize,
    /// δ that ε is stated for; `None` without privacy.
    pub delta: Option<f64>,
    pub runs: Vec<SeedRun>,
    pub failed: Vec<FailedSeed>,
    /// Whether Ctrl-C ended it before all seeds were done.
    pub interrupted: bool,
    /// Over the seeds; `None` without any.
    pub accuracy: Option<Spread>,
    pub minutes: Option<Spread>,
    pub megabytes: Option<Spread>,
    pub published: Option<Published>,
}

/// Mean and deviation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    pub mean: f64,
    /// With the divisor n - 1; `None` for a single value.
    pub deviation: Option<f64>,
}

impl SeedRun {
    pub fn new(seed: u64, trained: &Trained, evaluation: &Evaluation) -> Self {
        let Trained { summary, history, epochs, .. } = trained;
        let last = history.last();
        Self {
            seed,
            accuracy: evaluation.accuracy,
            bounds: summary.epsilon.into(),
            steps: summary.steps,
            epochs: *epochs,
            train_loss: last.map(|epoch| epoch.loss),
            train_accuracy: last.map(|epoch| epoch.train_accuracy),
            minutes: summary.elapsed.as_secs_f64() / 60.0,
            megabytes_up: summary.traffic.up as f64 / MEGABYTE,
            megabytes_down: summary.traffic.down as f64 / MEGABYTE,
            test_seconds: evaluation.seconds,
        }
    }

    fn megabytes(&self) -> f64 {
        self.megabytes_up + self.megabytes_down
    }

    /// One line.
    pub fn text(&self) -> String {
        let EpsilonFields { epsilon, epsilon_rdp, epsilon_classical, .. } = self.bounds;
        let epsilon = match (epsilon, epsilon_rdp, epsilon_classical) {
            (Some(epsilon), Some(rdp), Some(classical)) => {
                format!("ε {epsilon:.3} (RDP {rdp:.3}, classical {classical:.3})")
            }
            _ => "no ε".to_owned(),
        };
        let (accuracy, minutes, megabytes) =
            (percent(self.accuracy), self.minutes, self.megabytes());
        let (seed, steps) = (self.seed, self.steps);
        format!(
            "seed {seed}: {accuracy}, {epsilon}, {steps} steps in {minutes:.1} min, {megabytes:.0} MB"
        )
    }
}

impl Outcome {
    /// Nothing done yet.
    pub fn new(
        recipe: &Recipe,
        delta: Option<Delta>,
        train_images: usize,
        test_images: usize,
    ) -> Self {
        Self {
            recipe: recipe.name.clone(),
            network: recipe.network.clone(),
            train_images,
            test_images,
            delta: delta.map(Delta::get),
            runs: Vec::new(),
            failed: Vec::new(),
            interrupted: false,
            accuracy: None,
            minutes: None,
            megabytes: None,
            published: recipe.published,
        }
    }

    /// Sums up the seeds done so far.
    pub fn finish(&mut self) {
        let spread = |value: fn(&SeedRun) -> f64| {
            Spread::of(&self.runs.iter().map(value).collect::<Vec<_>>())
        };
        let accuracy = spread(|run| run.accuracy);
        let minutes = spread(|run| run.minutes);
        let megabytes = spread(SeedRun::megabytes);
        (self.accuracy, self.minutes, self.megabytes) = (accuracy, minutes, megabytes);
    }

    /// What people read.
    pub fn text(&self) -> String {
        let mut text = format!("\nrecipe {}, network {}\n", self.recipe, self.network);
        for run in &self.runs {
            text += &format!("{}\n", run.text());
        }
        for FailedSeed { seed, error } in &self.failed {
            text += &format!("seed {seed}: failed: {error}\n");
        }
        let (Some(accuracy_spread), Some(minutes), Some(megabytes)) =
            (self.accuracy, self.minutes, self.megabytes)
        else {
            return text + "no seed was done";
        };
        let largest = |value: fn(&SeedRun) -> Option<f64>| {
            self.runs.iter().map(value).try_fold(0.0f64, |most, value| Some(most.max(value?)))
        };
        let seeds = match self.runs.len() {
            1 => "1 seed".to_owned(),
            count => format!("{count} seeds"),
        };
        let images = self.test_images;
        text += &format!(
            "\naccuracy  {} of {images} test images, {seeds}\n",
            accuracy_spread.percent()
        );
        let epsilon = largest(|run| run.bounds.epsilon);
        let rdp = largest(|run| run.bounds.epsilon_rdp);
        let classical = largest(|run| run.bounds.epsilon_classical);
        text += &match (epsilon, rdp, classical, self.delta) {
            (Some(epsilon), Some(rdp), Some(classical), Some(delta)) => format!(
                "privacy   ε = {epsilon:.3} (RDP {rdp:.3}, classical {classical:.3}) at δ = {delta:e}\n"
            ),
            _ => "privacy   none\n".to_owned(),
        };
        text += &format!(
            "cost      {:.1} minutes, {:.0} MB per training\n",
            minutes.mean, megabytes.mean
        );
        if let Some(published) = &self.published {
            text += &format!(
                "published {}, {:.0} minutes, {:.0} MB\n",
                accuracy(published),
                published.minutes,
                published.megabytes
            );
        }
        text
    }
}

impl Spread {
    /// `None` for no values.
    fn of(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        if values.is_empty() {
            return None;
        }
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        let deviation = (values.len() > 1).then(|| (squares / (count - 1.0)).sqrt());
        Some(Self { mean, deviation })
    }

    /// 98.43 ± 0.06 %
    fn percent(self) -> String {
        match self.deviation {
            Some(deviation) => format!("{:.2} ± {:.2} %", 100.0 * self.mean, 100.0 * deviation),
            None => percent(self.mean),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spread_divides_by_one_less_than_the_values() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[0.5]), Some(Spread { mean: 0.5, deviation: None }));
        let spread = Spread::of(&[0.97, 0.98, 0.99]).unwrap();
        assert!((spread.mean - 0.98).abs() < 1e-12);
        assert!((spread.deviation.unwrap() - 0.01).abs() < 1e-12);
        assert_eq!(spread.percent(), "98.00 ± 1.00 %");
    }
}
