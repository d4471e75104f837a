//! The weights of a version and the state that binds them. That clients check answers with them is
//! tested with the SDK.

use sphinx_proto::v1::{FetchWeightsRequest, FetchWeightsResponse};
use sphinx_wire::parameters::append_weights;
use sphinx_wire::state::WeightState;
use tonic::{Code, Status};

use crate::service::Service;

fn request(service: &Service) -> FetchWeightsRequest {
    FetchWeightsRequest {
        model_id: "small".to_owned(),
        key_id: "mine".to_owned(),
        version: 0,
        incarnation: service.described.incarnation.clone(),
    }
}

async fn ask(
    service: &Service,
    request: FetchWeightsRequest,
) -> Result<Vec<FetchWeightsResponse>, Status> {
    let mut parts = service.client.clone().fetch_weights(request).await?.into_inner();
    let mut all = Vec::new();
    while let Some(part) = parts.message().await? {
        all.push(part);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_have_the_hash_that_the_description_names() {
    let service = Service::start().await;
    let mut weights = vec![Vec::new(); 2];
    for part in ask(&service, request(&service)).await.unwrap() {
        append_weights(&part.weights, 800, &mut weights[part.stage as usize]).unwrap();
    }
    assert_eq!(weights.iter().map(Vec::len).collect::<Vec<_>>(), [90, 800]);
    let state = service.described.state.clone().unwrap();
    let held = WeightState { weights, rule: None };
    assert_eq!(*state.weights_sha256, held.weights_sha256());
    assert_eq!((state.version, state.has_one_shot_biases), (0, false));
    assert!(state.sealed.is_empty(), "version 0 has nothing to seal");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_versions_and_models_that_are_not_there() {
    let service = Service::start().await;
    let good = request(&service);
    let cases = [
        (FetchWeightsRequest { version: 9, ..good.clone() }, Code::NotFound),
        (FetchWeightsRequest { model_id: "nobody".to_owned(), ..good.clone() }, Code::NotFound),
        (FetchWeightsRequest { incarnation: vec![].into(), ..good.clone() }, Code::InvalidArgument),
        (
            FetchWeightsRequest { incarnation: vec![8; 16].into(), ..good.clone() },
            Code::FailedPrecondition,
        ),
        (
            FetchWeightsRequest { key_id: "another".to_owned(), ..good.clone() },
            Code::FailedPrecondition,
        ),
    ];
    for (index, (request, code)) in cases.into_iter().enumerate() {
        let refused = ask(&service, request).await.map(|parts| parts.len()).unwrap_err();
        assert_eq!(refused.code(), code, "case {index}: {}", refused.message());
    }
    assert!(ask(&service, good).await.is_ok());
}
