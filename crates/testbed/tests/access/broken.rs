//! Every RPC by clients that break the transport of gRPC itself.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http_body_util::{BodyExt, Full};
use sphinx_access::{Role, may_call};
use sphinx_client::Token;
use tonic::body::Body;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tower::{Service, ServiceExt};

use crate::matrix::{Services, rpcs, start};

/// A way to break a request, its bytes, and what it is answered with where one message is asked
/// for. Streams are told to send the same again: their bytes may have been damaged on the way.
type Way = (&'static str, fn() -> Vec<u8>, Code);

/// RPCs whose request is a stream.
const STREAMS: [&str; 4] = ["Train", "Prepare", "InferBatch", "ExchangeKeys"];

/// A frame of gRPC: flag, length, message.
fn frame(flag: u8, announced: u32, message: &[u8]) -> Vec<u8> {
    [&[flag][..], &announced.to_be_bytes(), message].concat()
}

const WAYS: &[Way] = &[
    // No field has the number 0, and no varint is that long.
    ("no protobuf", || frame(0, 20, &[0xff; 20]), Code::Internal),
    ("half a head", || vec![0, 0, 0], Code::Internal),
    ("less than announced", || frame(0, 100, b"short"), Code::Internal),
    ("a gigabyte announced", || frame(0, 1 << 30, b"x"), Code::OutOfRange),
    ("five megabytes", || frame(0, 5 << 20, &vec![0; 5 << 20]), Code::OutOfRange),
    ("compressed by nothing", || frame(1, 2, &[0x08, 1]), Code::Internal),
    ("no flag", || frame(7, 2, &[0x08, 1]), Code::Internal),
];

/// Sends bytes as the body of a request, and reads what it is answered.
async fn send(channel: &Channel, rpc: &str, token: &Token, body: Vec<u8>) -> Status {
    let request = http::Request::post(format!("/{rpc}"))
        .header(CONTENT_TYPE, "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {}", token.expose()))
        .body(Body::new(Full::new(Bytes::from(body)).map_err(|never| match never {})))
        .unwrap();
    let reply = channel.clone().ready().await.unwrap().call(request).await.unwrap();
    if let Some(status) = Status::from_header_map(reply.headers()) {
        return status;
    }
    let trailers = reply.into_body().collect().await.unwrap();
    Status::from_header_map(trailers.trailers().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rpc_answers_what_is_no_grpc_at_once_and_goes_on() {
    let services: Services = start().await;
    let token = services.world.token(Role::Owner);
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let mut looked_at = 0;
    for (service, rpc) in rpcs() {
        if !may_call(Role::Owner, &rpc) {
            continue;
        }
        let channel = &services.channels[service.as_str()];
        let stream = STREAMS.iter().any(|name| rpc.ends_with(&format!("/{name}")));
        for &(way, body, of_one) in WAYS {
            let answered = send(channel, &rpc, &token, body());
            let answered = tokio::time::timeout(Duration::from_secs(5), answered).await;
            let status = answered.unwrap_or_else(|_| panic!("{rpc}, {way}: no answer"));
            let expected = if stream && of_one == Code::Internal { Code::Aborted } else { of_one };
            assert_eq!(status.code(), expected, "{rpc}, {way}: {status:?}");
            assert!(status.message().len() < 400, "{rpc}, {way}: {status:?}");
            looked_at += 1;
        }
    }
    println!("{looked_at} broken requests");
    assert!(looked_at >= 19 * WAYS.len());
}
