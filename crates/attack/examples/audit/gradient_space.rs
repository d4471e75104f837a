//! Canaries in gradient space: examples whose gradients an adversary chose, each as long as
//! clipping allows and along a coordinate of its own. No examples are easier to recognise in the
//! noised sums.

use std::error::Error;

use rand::{CryptoRng, RngExt};
use sphinx_attack::{one_run, trials};
use sphinx_privacy::{
    Delta, GaussianMechanism, MechanismSpec, NoiseMultiplier, PlanRequest, PoissonSampler,
    PrivacyPlan, Target,
};

/// δ of all claims.
pub const DELTA: f64 = 1e-5;
/// Components of a gradient of `sphinx-mnist`.
pub const DIMENSION: usize = 33_542;
const CLIPPING_NORM: f64 = 0.1;

/// A training whose privacy is claimed.
pub struct Claim {
    pub plan: PrivacyPlan,
    /// What the noise is divided by: 1 for the mechanism as it is, more to break it.
    pub weakening: f64,
}

/// Scores of canaries, and which of them were in the data.
pub struct Outcome {
    pub scores: Vec<f64>,
    pub inside: Vec<bool>,
}

impl Claim {
    /// The schedule of `sphinx train`: MNIST, one block a step, 10 epochs.
    pub fn schedule(epsilon: f64) -> Result<Self, Box<dyn Error>> {
        Self::new(epsilon, 60_000, 10.0)
    }

    /// The whole budget in one step on all examples: nothing is hidden by sampling.
    pub fn single_step(epsilon: f64) -> Result<Self, Box<dyn Error>> {
        Self::new(epsilon, 1500, 1.0)
    }

    pub fn weakened(self, weakening: f64) -> Self {
        Self { weakening, ..self }
    }

    fn new(epsilon: f64, examples: u64, epochs: f64) -> Result<Self, Box<dyn Error>> {
        let target = Target::new(epsilon, Delta::new(DELTA)?)?;
        let request =
            PlanRequest { target, examples, expected_batch: None, blocks: 1, copies: 1, epochs };
        Ok(Self { plan: PrivacyPlan::solve(&request)?, weakening: 1.0 })
    }

    /// Runs sampler and mechanism over the whole schedule with `canaries` canaries, each in the
    /// data or not by a fair coin. The score is the logarithm of the likelihood ratio of everything
    /// that was released: the best there is.
    pub fn run(
        &self,
        canaries: usize,
        rng: &mut impl CryptoRng,
    ) -> Result<Outcome, Box<dyn Error>> {
        let segment = &self.plan.segment;
        let sigma = segment.noise_multiplier.get() / self.weakening;
        let mechanism = GaussianMechanism::new(MechanismSpec {
            clipping_norm: CLIPPING_NORM,
            noise_multiplier: NoiseMultiplier::new(sigma)?,
            dimension: DIMENSION,
            slack: MechanismSpec::group_slack(1, 1),
        })?;
        let inside: Vec<bool> = (0..canaries).map(|_| rng.random()).collect();
        let members: Vec<usize> = (0..canaries).filter(|&canary| inside[canary]).collect();
        let rate = segment.sampling_rate;
        let sampler = PoissonSampler::new(members.len(), rate, usize::MAX);
        let (q, deviation) = (rate.get(), mechanism.noise_deviation() / CLIPPING_NORM);
        let mut scores = vec![0.0; canaries];
        for _ in 0..segment.steps {
            let mut sum = vec![0.0; DIMENSION];
            for drawn in sampler.draw(rng).indices {
                sum[members[drawn]] += CLIPPING_NORM;
            }
            let released = mechanism.release(&sum, rng)?;
            for (score, &value) in scores.iter_mut().zip(released.as_slice()) {
                let z = f64::from(value) / CLIPPING_NORM;
                let likelier = ((2.0 * z - 1.0) / (2.0 * deviation * deviation)).exp();
                *score += (1.0 - q + q * likelier).ln();
            }
        }
        Ok(Outcome { scores, inside })
    }
}

impl Outcome {
    /// Lower bound on ε by the theorem for one run with many canaries.
    pub fn one_run_bound(&self) -> (one_run::Guesses, f64) {
        let m = self.scores.len();
        let guesses = [m / 50, m / 20, m / 10, m / 4, m / 2, m];
        let best = one_run::best_bound(&self.scores, &self.inside, &guesses, DELTA, 0.95);
        best.unwrap_or((one_run::Guesses { canaries: 0, made: 0, right: 0 }, 0.0))
    }

    pub fn append(&mut self, other: Self) {
        self.scores.extend(other.scores);
        self.inside.extend(other.inside);
    }

    /// Lower bound on ε from the canaries as independent trials, which they are: of its coordinate,
    /// coin and noise every canary has its own.
    pub fn trials_bound(&self) -> f64 {
        let side = |wanted: bool| -> Vec<f64> {
            let scored = self.scores.iter().zip(&self.inside);
            scored.filter(|(_, inside)| **inside == wanted).map(|(score, _)| *score).collect()
        };
        trials::epsilon_bound(&side(false), &side(true), DELTA, 0.95)
    }
}
