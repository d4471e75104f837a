//! `Prepare`: what is refused, and that a whole stream is answered by every row once.

use sphinx_inference::InferenceLimits;
use sphinx_linalg::POLYNOMIAL_SIZE;
use sphinx_proto::v1::{
    PrepareHeader, PrepareRequest, prepare_request::Part, prepare_response::Part as Answer,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;

use crate::service::{INPUTS, Service, all};

/// Makes a good header bad.
type Change = fn(&mut PrepareHeader);

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_answered_by_head_and_every_row_once() {
    let mut service = Service::start().await;
    let (first, rest) = (service.rows(0, 30), service.rows(30, 6));
    let parts = vec![Part::Header(service.header(0)), Part::Input(first), Part::Input(rest)];
    let answers = service.prepare(parts).await.unwrap();
    let mut answers = answers.into_iter().map(|answer| answer.part.unwrap());
    let Answer::Result(head) = answers.next().unwrap() else { panic!("no head") };
    assert_eq!((head.version, head.rows), (0, 160));
    let mut rows = Vec::new();
    for answer in answers {
        let Answer::Output(output) = answer else { panic!("no rows") };
        let bytes = output.rows.len() * 5 * POLYNOMIAL_SIZE;
        assert_eq!((output.masks.len(), output.bodies.len()), (bytes, bytes));
        rows.extend(output.rows);
    }
    rows.sort_unstable();
    assert_eq!(rows, (0..160).collect::<Vec<u32>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_headers_that_name_what_is_not_there() {
    let service = Service::start().await;
    let good = service.header(0);
    let refusal = async |header| service.refusal(vec![Part::Header(header)]).await;
    let with = |change: Change| {
        let mut header = good.clone();
        change(&mut header);
        header
    };
    let cases: [(Change, Code); 8] = [
        (|header| header.stage = 2, Code::InvalidArgument),
        (|header| header.parameter_set = 0, Code::InvalidArgument),
        (|header| header.model_id = "../small".to_owned(), Code::InvalidArgument),
        (|header| header.incarnation = vec![7; 15].into(), Code::InvalidArgument),
        (|header| header.incarnation = vec![8; 16].into(), Code::FailedPrecondition),
        (|header| header.key_id = "another".to_owned(), Code::FailedPrecondition),
        (|header| header.model_id = "nobody".to_owned(), Code::NotFound),
        (|header| header.version = 1, Code::NotFound),
    ];
    for (index, (change, code)) in cases.into_iter().enumerate() {
        assert_eq!(refusal(with(change)).await, code, "case {index}");
    }
    // The key is the model's, but the key vault does not know it.
    let stray = |header: &mut PrepareHeader| {
        (header.model_id, header.key_id) = ("stray".to_owned(), "nobodys".to_owned());
    };
    assert_eq!(refusal(with(stray)).await, Code::FailedPrecondition);
    assert_eq!(service.refusal(vec![]).await, Code::Aborted, "no header at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_rows_that_do_not_fit() {
    let mut service = Service::start().await;
    let header = Part::Header(service.header(0));
    let (head, tail) = (service.rows(0, 30), service.rows(30, 6));
    let short = |bytes: &bytes::Bytes| bytes.slice(1..);

    let mut body = head.clone();
    body.bodies = short(&body.bodies);
    let refused = service.refusal(vec![header.clone(), Part::Input(body)]).await;
    assert_eq!(refused, Code::InvalidArgument);
    let mut seeds = head.clone();
    seeds.seeds = short(&seeds.seeds);
    let refused = service.refusal(vec![header.clone(), Part::Input(seeds)]).await;
    assert_eq!(refused, Code::InvalidArgument);
    let large = service.rows(0, INPUTS + 1);
    let refused = service.refusal(vec![header.clone(), Part::Input(large)]).await;
    assert_eq!(refused, Code::InvalidArgument);
    let refused = service.refusal(vec![header.clone(), Part::Input(tail.clone())]).await;
    assert_eq!(refused, Code::Aborted, "rows out of order");
    let refused = service.refusal(vec![header.clone(), Part::Input(head.clone())]).await;
    assert_eq!(refused, Code::Aborted, "stream cut short");
    let refused = service.refusal(vec![header.clone(), header.clone()]).await;
    assert_eq!(refused, Code::Aborted, "second header");
    let refused = service.refusal(vec![Part::Input(head.clone())]).await;
    assert_eq!(refused, Code::Aborted, "no header");
    // The service goes on.
    let good = vec![header, Part::Input(head), Part::Input(tail)];
    assert!(service.prepare(good).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_more_rows_than_it_may_hold_until_some_are_given_back() {
    let limits = InferenceLimits { max_preparation_rows: 600, ..InferenceLimits::default() };
    let mut service = Service::with_limits(limits).await;
    let header = Part::Header(service.header(0));
    let rows = Part::Input(service.rows(0, INPUTS));
    let (parts, stream) = mpsc::channel(4);
    parts.send(PrepareRequest { part: Some(header.clone()) }).await.unwrap();
    let open = service.client.clone().prepare(ReceiverStream::new(stream)).await.unwrap();
    // 36 inputs and up to 320 words and bytes of results under way: no room for a second stream.
    let busy = service.prepare(vec![header.clone(), rows.clone()]).await.unwrap_err();
    assert_eq!(busy.code(), Code::ResourceExhausted);
    assert!(busy.metadata().get("retry-after-ms").is_some());
    parts.send(PrepareRequest { part: Some(rows.clone()) }).await.unwrap();
    drop(parts);
    all(open.into_inner()).await.unwrap();
    assert!(service.prepare(vec![header, rows]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_stages_that_never_fit() {
    let limits = InferenceLimits { max_preparation_rows: 30, ..InferenceLimits::default() };
    let service = Service::with_limits(limits).await;
    let header = Part::Header(service.header(0));
    assert_eq!(service.refusal(vec![header]).await, Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_gives_its_rows_back() {
    let limits = InferenceLimits { max_preparation_rows: 600, ..InferenceLimits::default() };
    let mut service = Service::with_limits(limits).await;
    let header = Part::Header(service.header(0));
    let rows = Part::Input(service.rows(0, INPUTS));
    let (parts, stream) = mpsc::channel(4);
    parts.send(PrepareRequest { part: Some(header.clone()) }).await.unwrap();
    let open = service.client.clone().prepare(ReceiverStream::new(stream)).await.unwrap();
    drop((parts, open));
    // The reset takes a moment to arrive.
    for _ in 0..100 {
        if service.prepare(vec![header.clone(), rows.clone()]).await.is_ok() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the rows were not given back within two seconds");
}

/// A key is asked for again when the last answer is five seconds old.
#[tokio::test(flavor = "multi_thread")]
async fn rejects_preparations_under_a_key_that_was_revoked_meanwhile() {
    let mut service = Service::start().await;
    let parts = |service: &mut Service| {
        vec![Part::Header(service.header(0)), Part::Input(service.rows(0, INPUTS))]
    };
    let before = parts(&mut service);
    service.prepare(before).await.unwrap();
    service.revoke().await;
    tokio::time::sleep(std::time::Duration::from_secs(5)).await;
    let after = parts(&mut service);
    let status = service.prepare(after).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("key mine of tenant default was revoked"), "{status:?}");
}
