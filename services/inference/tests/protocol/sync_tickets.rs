//! Differences of versions. That they repair tickets is tested with the SDK.

use sphinx_proto::v1::{SyncTicketsRequest, SyncTicketsResponse};
use tonic::{Code, Status};

use crate::service::Service;

fn request(service: &Service) -> SyncTicketsRequest {
    SyncTicketsRequest {
        model_id: "small".to_owned(),
        key_id: "mine".to_owned(),
        incarnation: service.described.incarnation.clone(),
        from_version: 0,
        to_version: 0,
    }
}

async fn ask(
    service: &Service,
    request: SyncTicketsRequest,
) -> Result<Vec<SyncTicketsResponse>, Status> {
    let mut replies = service.client.clone().sync_tickets(request).await?.into_inner();
    let mut all = Vec::new();
    while let Some(reply) = replies.message().await? {
        all.push(reply);
    }
    Ok(all)
}

#[tokio::test(flavor = "multi_thread")]
async fn equal_versions_differ_by_nothing() {
    let service = Service::start().await;
    let replies = ask(&service, request(&service)).await.unwrap();
    let differences: Vec<_> =
        replies.iter().filter_map(|reply| reply.difference.as_ref()).collect();
    // A convolution of 10 kernels of 3 x 3 and a dense layer of 160 inputs.
    let counts: Vec<_> = differences.iter().map(|d| (d.stage, d.count, d.bits)).collect();
    assert_eq!(counts, [(0, 90, 0), (1, 800, 0)]);
    assert!(differences.iter().all(|difference| difference.values.is_empty()));
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_versions_and_models_that_are_not_there() {
    let service = Service::start().await;
    let good = request(&service);
    let cases = [
        (SyncTicketsRequest { from_version: 9, ..good.clone() }, Code::NotFound),
        (SyncTicketsRequest { to_version: 9, ..good.clone() }, Code::NotFound),
        (SyncTicketsRequest { model_id: "nobody".to_owned(), ..good.clone() }, Code::NotFound),
        (SyncTicketsRequest { model_id: "a/b".to_owned(), ..good.clone() }, Code::InvalidArgument),
        (SyncTicketsRequest { incarnation: vec![].into(), ..good.clone() }, Code::InvalidArgument),
        (
            SyncTicketsRequest { incarnation: vec![8; 16].into(), ..good.clone() },
            Code::FailedPrecondition,
        ),
        (
            SyncTicketsRequest { key_id: "another".to_owned(), ..good.clone() },
            Code::FailedPrecondition,
        ),
    ];
    for (index, (request, code)) in cases.into_iter().enumerate() {
        // Answers are long: only their number is of interest.
        let answered = ask(&service, request).await.map(|replies| replies.len());
        let refused = answered.unwrap_err();
        assert_eq!(refused.code(), code, "case {index}: {}", refused.message());
    }
    assert!(ask(&service, good.clone()).await.is_ok());
    // The case above is another life of the model: this one's is its own.
    assert_ne!(good.incarnation, vec![8; 16]);
}
