//! The integers of networks that have just one linear layer.

use sphinx_linalg::{LinearMap, Profile};
use sphinx_models::{ModelMeta, ModelVersion, StoredNetwork};
use sphinx_network::Plan;
use sphinx_wire::training::{BiasForm, Form, Geometries};

use crate::error::{InferenceError, ModelFault};

/// The plan of a linear network, and the integers of its layer: those of a step of training.
pub(crate) fn one_layer(
    meta: &ModelMeta,
    version: &ModelVersion,
    profile: Profile,
) -> Result<(Plan, LinearMap), InferenceError> {
    let model = || meta.model_id.clone();
    let damaged = |cause| InferenceError::DamagedModel { model: model(), cause };
    let StoredNetwork { spec, plan, .. } =
        meta.stored_network().map_err(|fault| damaged(fault.into()))?;
    let (got, expected) = (version.weights.len(), plan.stages.len());
    if expected != 1 {
        return Err(InferenceError::NotLinear { model: model(), got: expected });
    }
    let form = Form { profile, biases: BiasForm::AtHome };
    let stages = Geometries::new(plan.clone(), form, spec.bias_bound).lower(&version.weights);
    let number = version.version;
    let range = |cause| InferenceError::Range { model: model(), version: number, cause };
    let stage = stages.map_err(range)?.into_iter().next();
    let missing = ModelFault::StageCount { got, expected };
    Ok((plan, stage.ok_or_else(|| damaged(missing))?.forward.map))
}
