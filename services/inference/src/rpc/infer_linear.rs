//! `InferLinear`: the one layer of a linear network on one image.

use sphinx_bootstrap::LinearLayer;
use sphinx_evaluation_keys::LinearQuery;
use sphinx_linalg::{LinearMap, Profile, SEED_BYTES};
use sphinx_proto::v1::{InferLinearRequest, InferLinearResponse};
use sphinx_proto::{KeyId, ModelId};
use sphinx_runtime::{Compute, Object, Principal};
use tonic::{Request, Response, Status};

use crate::error::InferenceError;
use crate::linear::one_layer;
use crate::models::VersionId;
use crate::service::InferenceService;

pub(crate) async fn handle(
    service: &InferenceService,
    request: Request<InferLinearRequest>,
) -> Result<Response<InferLinearResponse>, Status> {
    let principal = Principal::of(&request)?;
    let InferLinearRequest { model_id, key_id, version, incarnation, seeds, bodies } =
        request.into_inner();
    let model = ModelId::parse(&*model_id)?;
    let tenant = principal.acts_on(Object::Version(&model, version)).await?;
    let compute = service.compute.of(&tenant);
    let wanted = VersionId::parse(tenant, model_id, &incarnation, version)?;
    let key_id = KeyId::parse(key_id)?;
    let query = LinearQuery { seeds: seeds.to_vec(), bodies: bodies.to_vec() };
    Ok(Response::new(answer(service, &compute, wanted, key_id, query).await?))
}

async fn answer(
    service: &InferenceService,
    compute: &Compute,
    wanted: VersionId,
    key_id: KeyId,
    query: LinearQuery,
) -> Result<InferLinearResponse, InferenceError> {
    // Whose the model is, that it still exists, and under which key.
    service.models.get(wanted.clone(), &key_id).await?;
    service.keys.require(&wanted.tenant, &key_id).await?;
    let version = wanted.version;
    let make = async {
        let (meta, version) = service.models.stored(&wanted, &key_id).await?;
        let lower = move || {
            let (plan, map) = one_layer(&meta, &version, Profile::Glwe2048T32)?;
            let unfit = |cause| InferenceError::NotOneShot {
                model: meta.model_id.clone(),
                version: version.version,
                cause,
            };
            LinearLayer::new(&plan, &in_order(&map)).map_err(unfit)
        };
        compute.run(lower).await?
    };
    let layer = service.linear.get_or_make(wanted.clone(), make).await?;
    let taken = query.seeds.len() / SEED_BYTES;
    let evaluate = move || layer.evaluate(&query);
    let result = compute.run(evaluate).await?.map_err(InferenceError::Query)?;
    service.work.linear.product(taken, result.bodies.len() / size_of::<u32>(), 0);
    service.work.linear.images(1);
    Ok(InferLinearResponse { version, masks: result.masks.into(), bodies: result.bodies.into() })
}

/// The weights of a dense map by output and input.
fn in_order(map: &LinearMap) -> Vec<i32> {
    let mut weights = vec![0; map.outputs() * map.inputs()];
    for group in map.groups() {
        for patch in group.patches.iter() {
            let rows = group.weights.chunks_exact(group.taps.max(1));
            for (&output, taps) in patch.scatter.iter().zip(rows) {
                for (&input, &weight) in patch.gather.iter().zip(taps) {
                    let place = output as usize * map.inputs() + input as usize;
                    if let Some(to) = weights.get_mut(place) {
                        *to = weight;
                    }
                }
            }
        }
    }
    weights
}
