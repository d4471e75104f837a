//! The model: a linear classifier on public features, its weights in the clear.

use std::path::{Path, PathBuf};

use safetensors::SafeTensors;
use sphinx_linalg::Profile;
use sphinx_network::{NetworkSpec, Plan};
use sphinx_quantise::Lowered;
use sphinx_wire::training::{BiasForm, Form, Geometries};

use crate::{Outcome, SubmissionError};

/// The built-in network that the weights are of.
const NETWORK: &str = "deskew-linear";
/// Where the weights lie in the harness's tree.
const WEIGHTS: &str = "submission/model/deskew-linear.safetensors";

/// The model of the submission.
#[derive(Debug)]
pub struct Model {
    /// Its plan: public features, then one dense layer.
    pub plan: Plan,
    /// What biases are within.
    pub bias_bound: f32,
    /// 10 × 3969.
    pub weights: Vec<f32>,
    /// 10.
    pub biases: Vec<f32>,
}

impl Model {
    /// Of the batch axis.
    pub const PROFILE: Profile = Profile::Glwe2048T32;

    /// Reads the weights.
    ///
    /// # Errors
    /// [`SubmissionError::File`] and [`SubmissionError::Content`].
    pub fn load() -> Outcome<Self> {
        let path = PathBuf::from(WEIGHTS);
        let bytes = std::fs::read(&path)
            .map_err(|source| SubmissionError::File { path: path.clone(), source })?;
        let spec = NetworkSpec::builtin(NETWORK);
        let unknown = || content(&path, NETWORK.to_owned(), "a built-in network");
        let spec = spec.ok_or_else(unknown)?;
        let plan = Plan::new(&spec).map_err(SubmissionError::library)?;
        let tensors = SafeTensors::deserialize(&bytes).map_err(SubmissionError::library)?;
        let tensor = |name: &str, count: usize| -> Outcome<Vec<f32>> {
            let tensor = tensors.tensor(name).map_err(SubmissionError::library)?;
            let values = tensor.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b));
            let values: Vec<f32> = values.collect();
            match values.len() == count {
                true => Ok(values),
                false => Err(content(&path, format!("{} of {name}", values.len()), count)),
            }
        };
        let linear = plan.stages[0].linear;
        let weights = tensor("stage0.weight", linear.weight_count())?;
        let biases = tensor("stage0.bias", linear.bias_count())?;
        Ok(Self { plan, bias_bound: spec.bias_bound, weights, biases })
    }

    /// The integers of the batch axis.
    ///
    /// # Errors
    /// [`SubmissionError::Library`] for weights without any.
    pub fn product(&self) -> Outcome<Lowered> {
        let form = Form { profile: Self::PROFILE, biases: BiasForm::AtHome };
        let geometries = Geometries::new(self.plan.clone(), form, self.bias_bound);
        let stages = geometries.lower(std::slice::from_ref(&self.weights));
        let mut stages = stages.map_err(SubmissionError::library)?;
        Ok(stages.swap_remove(0).forward)
    }
}

fn content(path: &Path, got: String, expected: impl ToString) -> SubmissionError {
    SubmissionError::Content { path: path.to_owned(), got, expected: expected.to_string() }
}
