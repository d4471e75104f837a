//! `InferBatch`: what is refused, and that a whole stream is answered by every row once.

use rand::Rng;
use sphinx_inference::InferenceLimits;
use sphinx_linalg::SEED_BYTES;
use sphinx_proto::Reason;
use sphinx_proto::v1::infer_batch_request::Part;
use sphinx_proto::v1::infer_batch_response::Part as Answer;
use sphinx_proto::v1::{
    InferBatchHeader, InferBatchRequest, InferBatchResponse, InferLinearRequest, InputRows,
    TrainingProfile,
};
use tonic::{Code, Status};

use crate::service::{INPUTS, Service};

/// Makes a good header bad.
type Change = fn(&mut InferBatchHeader);

/// The same of a request for a single image.
type ChangeSingle = fn(&mut InferLinearRequest);

fn header(service: &Service) -> InferBatchHeader {
    InferBatchHeader {
        model_id: "linear".to_owned(),
        key_id: "mine".to_owned(),
        version: 0,
        incarnation: service.described.incarnation.clone(),
        profile: TrainingProfile::Glwe1024T24.into(),
        blocks: 2,
    }
}

/// Random ciphertexts of some rows with two blocks of two bodies each.
fn rows(service: &mut Service, first_row: u32, rows: usize) -> InputRows {
    let mut random = |bytes| {
        let mut random = vec![0; bytes];
        service.rng.fill_bytes(&mut random);
        random.into()
    };
    InputRows { first_row, seeds: random(rows * SEED_BYTES), bodies: random(rows * 2 * 2 * 3072) }
}

async fn ask(service: &Service, parts: Vec<Part>) -> Result<Vec<InferBatchResponse>, Status> {
    let requests = parts.into_iter().map(|part| InferBatchRequest { part: Some(part) });
    let requests = tokio_stream::iter(requests.collect::<Vec<_>>());
    let mut replies = service.client.clone().infer_batch(requests).await?.into_inner();
    let mut answers = Vec::new();
    while let Some(answer) = replies.message().await? {
        answers.push(answer);
    }
    Ok(answers)
}

async fn refusal(service: &Service, parts: Vec<Part>) -> (Code, String) {
    let status = ask(service, parts).await.unwrap_err();
    let broken = (status.code() == Code::Aborted).then_some(Reason::StreamBroken);
    assert_eq!(Reason::of(&status), broken, "{status:?}");
    (status.code(), status.message().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_is_answered_by_head_and_every_row_once() {
    let mut service = Service::start().await;
    let (first, rest) = (rows(&mut service, 0, 30), rows(&mut service, 30, 6));
    let parts = vec![Part::Header(header(&service)), Part::Input(first), Part::Input(rest)];
    let answers = ask(&service, parts).await.unwrap();
    let mut answers = answers.into_iter().map(|answer| answer.part.unwrap());
    let Answer::Result(head) = answers.next().unwrap() else { panic!("no head") };
    assert_eq!((head.version, head.rows), (0, 5));
    let mut seen = Vec::new();
    for answer in answers {
        let Answer::Output(output) = answer else { panic!("no rows") };
        let count = output.rows.len();
        assert_eq!((output.masks.len(), output.bodies.len()), (count * 3072, count * 4 * 3072));
        seen.extend(output.rows);
    }
    seen.sort_unstable();
    assert_eq!(seen, [0, 1, 2, 3, 4]);
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_headers_that_name_what_is_not_there_or_not_linear() {
    let service = Service::start().await;
    let good = header(&service);
    let cases: [(Change, Code, &str); 11] = [
        (|header| header.blocks = 0, Code::InvalidArgument, "blocks is 0: expected 1 to 16"),
        (|header| header.blocks = 17, Code::InvalidArgument, "blocks is 17: expected 1 to 16"),
        (|header| header.profile = 7, Code::InvalidArgument, "profile is 7"),
        (|header| header.model_id = "../x".to_owned(), Code::InvalidArgument, "model_id"),
        (|header| header.incarnation = vec![7; 15].into(), Code::InvalidArgument, "incarnation"),
        (|header| header.incarnation = vec![8; 16].into(), Code::FailedPrecondition, "made again"),
        (|header| header.key_id = "other".to_owned(), Code::FailedPrecondition, "under key mine"),
        (|header| header.model_id = "nobody".to_owned(), Code::NotFound, "nobody"),
        (|header| header.version = 1, Code::NotFound, "1"),
        (
            |header| header.model_id = "small".to_owned(),
            Code::FailedPrecondition,
            "model small has 2 linear layers",
        ),
        (
            |header| {
                (header.model_id, header.key_id) = ("stray".to_owned(), "nobodys".to_owned());
            },
            Code::FailedPrecondition,
            "nobodys",
        ),
    ];
    for (index, (change, code, words)) in cases.into_iter().enumerate() {
        let mut header = good.clone();
        change(&mut header);
        let (got, message) = refusal(&service, vec![Part::Header(header)]).await;
        assert_eq!(got, code, "case {index}: {message}");
        assert!(message.contains(words), "case {index}: {message}");
    }
    assert_eq!(refusal(&service, vec![]).await.0, Code::Aborted, "no header at all");
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_rows_that_do_not_fit_what_was_announced() {
    let mut service = Service::start().await;
    let head = Part::Header(header(&service));
    let (first, rest) = (rows(&mut service, 0, 30), rows(&mut service, 30, 6));
    let mut larger = first.clone();
    larger.bodies = [&larger.bodies[..], &[0; 30 * 2 * 3072]].concat().into();
    let mut seeds = first.clone();
    seeds.seeds = seeds.seeds.slice(1..);
    let beyond = rows(&mut service, 0, INPUTS + 1);
    for (what, parts, code) in [
        ("a third block", vec![Part::Input(larger)], Code::InvalidArgument),
        ("seeds cut short", vec![Part::Input(seeds)], Code::InvalidArgument),
        ("too many rows", vec![Part::Input(beyond)], Code::InvalidArgument),
        ("rows out of order", vec![Part::Input(rest.clone())], Code::Aborted),
        ("a stream cut short", vec![Part::Input(first.clone())], Code::Aborted),
        ("a second header", vec![head.clone()], Code::Aborted),
    ] {
        let parts = std::iter::once(head.clone()).chain(parts).collect();
        assert_eq!(refusal(&service, parts).await.0, code, "{what}");
    }
    assert_eq!(refusal(&service, vec![Part::Input(first.clone())]).await.0, Code::Aborted);
    // The service goes on.
    assert!(ask(&service, vec![head, Part::Input(first), Part::Input(rest)]).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn rejects_batches_that_take_more_memory_than_there_is() {
    // 36 rows of a mask and four bodies of 4 kB are 23 rows of 32 kB.
    let limits = InferenceLimits { max_preparation_rows: 22, ..InferenceLimits::default() };
    let service = Service::with_limits(limits).await;
    let (code, message) = refusal(&service, vec![Part::Header(header(&service))]).await;
    assert_eq!(code, Code::FailedPrecondition, "{message}");
    let limits = InferenceLimits { max_preparation_rows: 23, ..InferenceLimits::default() };
    let mut service = Service::with_limits(limits).await;
    let parts = vec![Part::Header(header(&service)), Part::Input(rows(&mut service, 0, INPUTS))];
    assert!(ask(&service, parts).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn single_images_are_answered_by_a_sample_per_logit_or_refused() {
    let service = Service::start().await;
    let good = InferLinearRequest {
        model_id: "linear".to_owned(),
        key_id: "mine".to_owned(),
        version: 0,
        incarnation: service.described.incarnation.clone(),
        seeds: vec![3; SEED_BYTES].into(),
        bodies: vec![4; INPUTS * 4].into(),
    };
    let ask = async |request| service.client.clone().infer_linear(request).await;
    let answer = ask(good.clone()).await.unwrap().into_inner();
    assert_eq!((answer.version, answer.masks.len(), answer.bodies.len()), (0, 5 * 8192, 5 * 4));
    let cases: [(ChangeSingle, Code, &str); 7] = [
        (|r| r.seeds = r.seeds.slice(1..), Code::InvalidArgument, "15 bytes of seeds"),
        (|r| r.bodies = r.bodies.slice(4..), Code::InvalidArgument, "140 bytes of coefficients"),
        (|r| r.bodies = vec![0; 148].into(), Code::InvalidArgument, "148 bytes of coefficients"),
        (|r| r.model_id = "small".to_owned(), Code::FailedPrecondition, "has 2 linear layers"),
        (|r| r.key_id = "other".to_owned(), Code::FailedPrecondition, "under key mine"),
        (|r| r.version = 9, Code::NotFound, "9"),
        (|r| r.incarnation = vec![8; 16].into(), Code::FailedPrecondition, "made again"),
    ];
    for (index, (change, code, words)) in cases.into_iter().enumerate() {
        let mut request = good.clone();
        change(&mut request);
        let status = ask(request).await.unwrap_err();
        assert_eq!(status.code(), code, "case {index}: {status:?}");
        assert!(status.message().contains(words), "case {index}: {status:?}");
    }
}
